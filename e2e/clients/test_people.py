"""People, their sessions and machines, administered with the vendor's Python client while they are at it."""

import json
import time

import cloudflare
import pytest

ALLOW = {"name": "staff", "decision": "allow", "include": [{"email_domain": {"domain": "example.com"}}]}
MACHINES = {"name": "machines", "decision": "non_identity", "include": [{"any_valid_service_token": {}}]}
LOGIN = "/cdn-cgi/access/login/"


@pytest.fixture(scope="module")
def office(gateway):
    """An application that people and machines may enter."""
    return gateway.protect(MACHINES, ALLOW)


def is_in(browser, app):
    """Whether the browser gets through to the application, without anybody typing anything."""
    url, _ = browser.visit(app.url("/"))
    return url == app.url("/")


def identity(browser):
    answer = browser.send("GET", f"{browser.gateway.team}/cdn-cgi/access/get-identity")
    assert answer.status == 200, answer.text
    return json.loads(answer.body)


def test_somebody_expected_logs_in_and_is_that_user(client, account, office, browser):
    users = client.zero_trust.access.users
    made = users.create(**account, email=browser.email, name="Expected")
    assert (made.email, made.name, made.access_seat, made.last_successful_login) == (
        browser.email, "Expected", False, None)
    with pytest.raises(cloudflare.ConflictError):
        users.create(**account, email=browser.email)
    assert users.update(made.id, **account, email=browser.email, name="Ann Lee").name == "Ann Lee"
    with pytest.raises(cloudflare.BadRequestError):
        users.update(made.id, **account, email="other@example.com", name="Ann Lee")
    browser.log_in(office)
    assert identity(browser)["user_uuid"] == made.id
    found = [user.id for user in users.list(**account, search="lee") if user.email == browser.email]
    assert found == [made.id]
    assert users.get(made.id, **account).access_seat is True

    users.delete(made.id, **account)
    assert not is_in(browser, office), "a deleted user is out at once"
    with pytest.raises(cloudflare.NotFoundError):
        users.get(made.id, **account)
    browser.log_in(office)
    assert identity(browser)["user_uuid"] != made.id, "whoever comes back is somebody new (seed 003)"


def test_sessions_are_listed_read_and_revoked(client, account, office, browser):
    users = client.zero_trust.access.users
    browser.log_in(office)
    told = identity(browser)
    user = told["user_uuid"]
    [session] = users.active_sessions.list(user, **account)
    assert session.metadata.apps[office.id].hostname == office.host
    assert session.metadata.nonce == session.name
    assert session.expiration == session.metadata.iat + session.metadata.ttl
    read = users.active_sessions.get(session.name, **account, user_id=user)
    assert (read.is_active, read.email, read.user_uuid) == (True, browser.email, user)
    assert (read.service_token_status, read.is_warp, read.is_gateway) == (False, False, False)
    assert list(read.device_sessions) == list(told["device_sessions"])
    last = users.last_seen_identity.get(user, **account)
    assert (last.email, last.iat, last.version) == (browser.email, told["iat"], 2)
    assert list(users.failed_logins.list(user, **account)) == []

    assert client.zero_trust.organizations.revoke_users(**account, email=browser.email) is True
    assert list(users.active_sessions.list(user, **account)) == []
    assert not is_in(browser, office)
    browser.log_in(office)
    assert identity(browser)["user_uuid"] == user, "the same user, and no waiting"


def test_an_applications_tokens_are_renewed_in_silence(client, account, office, browser):
    before = browser.log_in(office)
    client.zero_trust.access.applications.revoke_tokens(office.id, **account)
    answer = browser.send("GET", office.url("/"))
    assert answer.status == 302
    assert LOGIN in answer["location"]
    assert is_in(browser, office), "the global session is untouched"
    assert browser.token(office) != before


def test_a_service_token_from_its_first_use_to_its_end(client, account, office, gateway):
    tokens = client.zero_trust.access.service_tokens
    made = tokens.create(**account, name="robot", duration="1h")

    def status(secret):
        pair = {"CF-Access-Client-Id": made.client_id, "CF-Access-Client-Secret": secret}
        return gateway.request("GET", office.url("/"), pair).status

    assert status(made.client_secret) == 200
    assert status("wrong") == 401
    assert tokens.update(made.id, **account, enabled=False).enabled is False
    assert status(made.client_secret) == 401
    tokens.update(made.id, **account, enabled=True)
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    rotated = tokens.rotate(made.id, **account, previous_client_secret_expires_at=later)
    assert [status(made.client_secret), status(rotated.client_secret)] == [200, 200], "in its grace"
    again = tokens.rotate(made.id, **account)
    assert [status(rotated.client_secret), status(again.client_secret)] == [401, 200]
    before = tokens.get(made.id, **account).expires_at
    assert tokens.refresh(made.id, **account).expires_at >= before
    tokens.delete(made.id, **account)
    assert status(again.client_secret) == 401


def test_unused_service_tokens_can_be_retired(client, account):
    wish = {"enabled": True, "inactivity_threshold_days": 90, "action": "disable"}
    organizations = client.zero_trust.organizations
    told = organizations.update(**account, service_token_inactivity=wish).service_token_inactivity
    assert told.to_dict() == wish
    with pytest.raises(cloudflare.BadRequestError):
        organizations.update(**account, service_token_inactivity=wish | {"inactivity_threshold_days": 7})
    organizations.update(**account, service_token_inactivity=wish | {"enabled": False})
