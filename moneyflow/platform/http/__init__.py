"""HTTP pieces that every resource uses, without a framework: answers, idempotency, pages, ETags."""
