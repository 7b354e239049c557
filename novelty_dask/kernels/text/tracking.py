"""Names of query and path parameters that tell how a reader came to a page, and not which page it is.

The names of tracking parameters are those of the tracking query parameters registry as of 13 May 2025, commit
7377d3c, which is in the public domain [1]_, and all names that begin with ``utm_``.  Left out are ``campid``,
``customid``, ``si`` and ``toolid``, which other sites use for content.  The names of sessions are those that
web archives leave out [2]_, but for ``sid``.

References
----------
.. [1] https://github.com/mpchadwick/tracking-query-params-registry
.. [2] https://github.com/iipc/webarchive-commons (Apache-2.0), package org.archive.url
"""

LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})
"""ASCII letters alone: the names are ASCII, and lower case must not depend on a version of Unicode."""
TRACKING_PREFIX = "utm_"
SESSION_PREFIX, SESSION_SUFFIX = "aspsessionid", "sessid"
SESSIONS = ("cfid", "cftoken", "jsessionid")
_NAMES = (
    "_bta_c _bta_tid _branch_match_id _ga _gl _ke _kx dclid dm_i ef_id epik fbclid gad_source gbraid "
    "gclid gclsrc gdffi gdfms gdftrk gpromocode gqt hsa_acc hsa_ad hsa_cam hsa_grp hsa_kw hsa_mt hsa_net "
    "hsa_src hsa_tgt hsa_ver igshid irclickid matomo_campaign matomo_cid matomo_content matomo_group "
    "matomo_keyword matomo_medium matomo_placement matomo_source mc_cid mc_eid mkcid mkevt mkrid mkwid "
    "msclkid mtm_campaign mtm_cid mtm_content mtm_group mtm_keyword mtm_medium mtm_placement mtm_source "
    "ndclid pcrid piwik_campaign piwik_keyword piwik_kwd pk_campaign pk_keyword pk_kwd "
    "redirect_log_mongo_id redirect_mongo_id rtid s_kwcid sb_referer_host sccid sms_click sms_source "
    "sms_uph srsltid trk_contact trk_module trk_msg trk_sid ttclid tw_adid tw_campaign tw_content "
    "tw_source tw_term twclid vmcid wbraid yclid "
)
TRACKING = tuple(_NAMES.split())


def is_session(name: str) -> bool:
    """Return whether a parameter names a session.

    >>> is_session("PHPSESSID"), is_session("session")
    (True, False)
    """
    lower = name.translate(LOWER)
    return lower in SESSIONS or lower.startswith(SESSION_PREFIX) or lower.endswith(SESSION_SUFFIX)


def is_tracking(name: str) -> bool:
    """Return whether a parameter serves to follow a reader.

    >>> is_tracking("utm_source"), is_tracking("fbclid"), is_tracking("source")
    (True, True, False)
    """
    lower = name.translate(LOWER)
    return lower in TRACKING or lower.startswith(TRACKING_PREFIX)
