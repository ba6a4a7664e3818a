"""The HTTP API under ``/api/v1``: a thin layer of routes over the engine, its journal and what operators said."""
