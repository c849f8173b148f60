namespace Oxen.Swarm;

// An account's messages lie in namespaces, numbers of 16 bits with a sign. Arithmetic, not a table, says what a namespace
// allows, so that clients can take new ones into use. docs/protocol/swarm.md#namespaces
//
//   kind           numbers                 store                           retrieve
//   public inbox   multiples of 10         anybody                         the account (-10: anybody)
//   public outbox  -1, -21, -41, ...       the account; one message        anybody
//   others                                 the account                     the account
//   and of those   -11, -111, -211, ...    the account                     also keys that the account has revoked

/// <summary>What may be done in a namespace, and by whom.</summary>
public static class NamespaceRules
{
    /// <summary>Where groups of the old kind keep their messages: readable without a signature.</summary>
    public const short LegacyGroups = -10;

    /// <summary>Anybody may store here; it is where messages to the account arrive.</summary>
    public static bool IsPublicInbox(short space) => space % 10 == 0;

    /// <summary>Everybody may read the one message that the account keeps here; a store replaces it.</summary>
    public static bool IsPublicOutbox(short space) => space < 0 && -space % 20 == 1;

    /// <summary>Whether a store must be signed by the account.</summary>
    public static bool StoreNeedsSignature(short space) => !IsPublicInbox(space);

    /// <summary>Whether a retrieval must be signed by the account.</summary>
    public static bool RetrieveNeedsSignature(short space) => space != LegacyGroups && !IsPublicOutbox(space);

    /// <summary>Whether a subaccount that was revoked may still retrieve, to learn that it was.</summary>
    public static bool RevokedMayRetrieve(short space) => space < 0 && -space % 100 == 11;
}
