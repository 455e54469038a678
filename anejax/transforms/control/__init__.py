"""Control flow: primitives whose parameters hold the Graphs of bodies and branches, and their rules."""
