"""What an application has written to be asked or told: functions on a `Flow`, and how they are called.

    event           what a handler is given                                pure
    registry        which functions handle what; all of a process          pure
    decorators      `flow.on` and the others
    typed_handlers  functions that are given objects of a class of messages
    decisions       which handlers a question goes to, and what they say   pure
    calling         functions called: coroutines on the loop, plain ones on threads

The application's side of the contract of hooks: `publisher` makes flows of it, `gateway` brings the questions. Never
sees either, nor the hub.
"""
