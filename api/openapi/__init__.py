"""OpenAPI 3.1 document: made from the routes, their guards and descriptions, and the models that validate."""

from api.openapi.document import document
from api.openapi.operations import Operation

__all__ = ["Operation", "document"]
