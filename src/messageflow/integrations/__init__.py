"""Messageflow in the frameworks that people have: one thin module a framework, which alone imports it.

    flask             Flask: `MessageFlow(app)`
    flask_commands    `flask messageflow …`
    django            Django: in `INSTALLED_APPS`
    starlette         Starlette: `MessageFlow(app)`
    fastapi           FastAPI: the same, by dependencies
    litestar          Litestar: a plugin
    pyramid           Pyramid: `config.include`
    tornado           Tornado: `MessageFlow(app)`, and a mixin for handlers
    channels          Channels: `MessageflowChannelLayer` in `CHANNEL_LAYERS`
    site              what one application has, and what its pages are answered
    async_site        the same where views run on an event loop
    request_flow      the flow of one request
    event_stream      an event stream of the gateway as the answer of a view
    script_tag        the script tag of a page                              pure
    app_settings      what an application's configuration says
    current_flow      a flow that is another one in each application
    terminal          what the frameworks' commands do, as text

What a framework need not be there for stands in modules that all integrations share. Nothing imports this room, and it
sees the publisher and the handlers alone.
"""
