"""Typed messages: a class says what a push carries, and what a page may say.

    message      `Message`, `@message`, and what a type is called        pure
    kinds        how the values of a class are checked, either way       pure
    faults       what the libraries say of a value that is wrong         pure
    vocabulary   what is said, by name: pushed, told and asked
    schemas      the same as JSON Schemas
    typescript   these as types for the browser client                   pure
    asyncapi     these as an AsyncAPI document                           pure

Values only: `publisher` sends them, `handlers` are given them. Libraries that an application may have, such as
pydantic, are never imported here: a class of theirs shows that they are loaded.
"""
