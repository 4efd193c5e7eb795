"""Reading of statements: a binary file becomes a stream of entries and refused rows; nothing here knows a database.

Memory is bounded whatever the file has: no line, record or element is kept that is longer than a row may be.
"""
