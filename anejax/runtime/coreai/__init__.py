"""Programs on Apple's Core AI runtime, in a process of its own: what ends it there is an error here, no more.

``program`` is used as a NativeProgram is. ``worker`` starts the process and talks to it, ``serve`` is what runs there,
``link`` is how they talk, ``store`` keeps what was compiled.
"""
