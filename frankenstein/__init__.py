"""In what way are two networks alike inside?

Data flows one way: data -> zoo -> train -> cut -> stitch -> measure -> report

Importing this package imports nothing heavy; each room (`frankenstein.zoo`,
`frankenstein.surgery`, ...) is imported by name.
"""

__version__ = "0.1.0"
