"""Accounts as people use them: setting up, signing in, sessions, second factor, members, tokens.

What `web` and `cli` call. The rules are in `access`, the rows in `store.accounts` and `store.sessions`; each change and its
entry in the audit log of the workspace are one transaction. Passwords are hashed outside of every transaction, for that takes
long on purpose.
"""

from reconshield.access import LinkRefused, LoginRefused, NewSession, NotAllowed, Throttled, TotpWanted, Visitor
from reconshield.jobs.accounts.links import (
    finish_setup,
    invite,
    invite_account,
    link_for,
    list_links,
    setup_link,
    signin_link,
    withdraw_link,
)
from reconshield.jobs.accounts.logins import log_in
from reconshield.jobs.accounts.members import disable_account, enable_account, list_members, remove_member, set_role
from reconshield.jobs.accounts.second_factor import begin_totp, confirm_totp, end_totp, has_totp
from reconshield.jobs.accounts.sessions import (
    change_password,
    end_session,
    find_session,
    list_sessions,
    list_workspaces,
    log_out,
    log_out_everywhere,
    recall_session,
    switch_workspace,
)
from reconshield.jobs.accounts.tokens import find_token, list_tokens, make_token, revoke_token

__all__ = [
    "LinkRefused",
    "LoginRefused",
    "NewSession",
    "NotAllowed",
    "Throttled",
    "TotpWanted",
    "Visitor",
    "begin_totp",
    "change_password",
    "confirm_totp",
    "disable_account",
    "enable_account",
    "end_session",
    "end_totp",
    "find_session",
    "find_token",
    "finish_setup",
    "has_totp",
    "invite",
    "invite_account",
    "link_for",
    "list_links",
    "list_members",
    "list_sessions",
    "list_tokens",
    "list_workspaces",
    "log_in",
    "log_out",
    "log_out_everywhere",
    "make_token",
    "recall_session",
    "remove_member",
    "revoke_token",
    "set_role",
    "setup_link",
    "signin_link",
    "switch_workspace",
    "withdraw_link",
]
