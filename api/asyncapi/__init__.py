"""AsyncAPI 3 document: every topic and queue, made from the contracts and the declared topology."""

from api.asyncapi.document import document

__all__ = ["document"]
