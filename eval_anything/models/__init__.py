"""Model providers: each turns a `Request` into a `Response`."""

from eval_anything.models.base import Model, ModelContext, NoOptions

__all__ = ["Model", "ModelContext", "NoOptions"]
