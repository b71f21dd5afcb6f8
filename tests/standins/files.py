"""An image and a document, as small as they can be."""

from __future__ import annotations

import base64

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count 0/Kids[]>>endobj\n%%EOF\n"


def of(name: str) -> tuple[bytes, str]:
    """Return the file of a kind, by the ending of its name, and its media type."""
    return (PDF, "application/pdf") if name.endswith(".pdf") else (PNG, "image/png")
