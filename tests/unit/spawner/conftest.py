"""A database of JupyterHub's own making."""

from collections.abc import Iterator
from typing import Any

import pytest
from jupyterhub import orm, roles


@pytest.fixture
def db() -> Iterator[Any]:
    session = orm.new_session_factory("sqlite:///:memory:")()
    for role in roles.get_default_roles():
        roles.create_role(session, role)
    session.add(orm.OAuthClient(identifier="jupyterhub"))
    session.commit()
    yield session
    session.close()
    session.get_bind().dispose()
