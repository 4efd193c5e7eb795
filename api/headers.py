"""Headers of every answer, also of those that the application never sees."""

#: Nothing is kept by a cache, and no type is guessed by a browser.
COMMON_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
