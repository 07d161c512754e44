"""`MessageFreshness`: what a message is to a tracker."""

from enum import Enum


class MessageFreshness(Enum):
    """What a message about a node is to a tracker."""

    #: It says something new.
    FRESH = "fresh"
    #: Equal incarnation, no higher status.
    DUPLICATE = "duplicate"
    #: A lower incarnation than the known one.
    STALE = "stale"
    #: Its incarnation is not within 0 and MAX_INCARNATION.
    INVALID = "invalid"
    #: Its incarnation is more than MAX_INCARNATION_JUMP above the known one.
    SUSPICIOUS = "suspicious"
