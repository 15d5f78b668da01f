"""The API, one file a noun."""

from fastapi import APIRouter

ROUTERS: tuple[APIRouter, ...] = ()
