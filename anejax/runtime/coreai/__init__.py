"""Runs programs on Apple's Core AI runtime, in a separate process, so that a crash there is only an error here.

``program`` has the interface of a NativeProgram. ``worker`` starts the process and talks to it, ``serve`` runs inside
it, ``link`` transports messages, and ``store`` keeps compiled programs.
"""
