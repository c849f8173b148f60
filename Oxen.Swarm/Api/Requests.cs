using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Api;

// Requests of the storage API as typed values. docs/protocol/swarm.md#methods
// Times are milliseconds since 1970. `ToParams` writes a request as other nodes of the swarm get it: bt values, absolute times.

/// <summary>Who asks: the account's key, or a subaccount that the account allowed.</summary>
internal sealed record RequestAuth(byte[]? Ed25519, byte[]? Signature, byte[]? Subaccount, byte[]? SubaccountSignature)
{
    public static RequestAuth None { get; } = new(null, null, null, null);

    public void AddTo(WireMap map)
    {
        if (Ed25519 is not null) map["pubkey_ed25519"] = Ed25519;
        if (Signature is not null) map["signature"] = Signature;
        if (Subaccount is not null) map["subaccount"] = Subaccount;
        if (SubaccountSignature is not null) map["subaccount_sig"] = SubaccountSignature;
    }
}

internal abstract record SwarmRequest(string Method);

/// <summary>A request about one account.</summary>
internal abstract record AccountRequest(string Method, AccountId Account, RequestAuth Auth) : SwarmRequest(Method)
{
    public WireMap ToParams()
    {
        byte[] account = new byte[AccountId.Bytes];
        Account.CopyTo(account);
        var map = new WireMap { ["pubkey"] = account };
        Auth.AddTo(map);
        AddTo(map);
        return map;
    }

    protected abstract void AddTo(WireMap map);
}

/// <summary>A request that every node of the swarm carries out.</summary>
internal abstract record WriteRequest(string Method, AccountId Account, RequestAuth Auth) : AccountRequest(Method, Account, Auth);

internal sealed record StoreRequest(AccountId Account, RequestAuth Auth, short Space, byte[] Data, long Timestamp, long Expiry, long SignatureTimestamp) : WriteRequest("store", Account, Auth)
{
    public MessageKey Key { get; } = MessageHash.KeyOf(Data, Account, Space);

    protected override void AddTo(WireMap map)
    {
        map["data"] = Data;
        map["expiry"] = Expiry;
        map["namespace"] = (long)Space;
        map["sig_timestamp"] = SignatureTimestamp;
        map["timestamp"] = Timestamp;
    }
}

internal sealed record RetrieveRequest(AccountId Account, RequestAuth Auth, short Space, MessageKey? Last, int MaxCount, long MaxSize, long? Timestamp, bool Authenticated)
    : AccountRequest("retrieve", Account, Auth)
{
    protected override void AddTo(WireMap map) => map["namespace"] = (long)Space;
}

internal sealed record DeleteRequest(AccountId Account, RequestAuth Auth, IReadOnlyList<MessageKey> Messages, bool Required) : WriteRequest("delete", Account, Auth)
{
    protected override void AddTo(WireMap map) => map["messages"] = Keys.ToTexts(Messages);
}

/// <summary>`Space` null is all.</summary>
internal sealed record DeleteAllRequest(AccountId Account, RequestAuth Auth, short? Space, long Timestamp) : WriteRequest("delete_all", Account, Auth)
{
    protected override void AddTo(WireMap map)
    {
        map["namespace"] = Keys.ToWire(Space);
        map["timestamp"] = Timestamp;
    }
}

internal sealed record DeleteBeforeRequest(AccountId Account, RequestAuth Auth, short? Space, long Before) : WriteRequest("delete_before", Account, Auth)
{
    protected override void AddTo(WireMap map)
    {
        map["before"] = Before;
        map["namespace"] = Keys.ToWire(Space);
    }
}

internal sealed record ExpireAllRequest(AccountId Account, RequestAuth Auth, short? Space, long Expiry) : WriteRequest("expire_all", Account, Auth)
{
    protected override void AddTo(WireMap map)
    {
        map["expiry"] = Expiry;
        map["namespace"] = Keys.ToWire(Space);
    }
}

internal sealed record ExpireRequest(AccountId Account, RequestAuth Auth, IReadOnlyList<MessageKey> Messages, IReadOnlyList<long> Expiries, bool Shorten, bool Extend)
    : WriteRequest("expire", Account, Auth)
{
    protected override void AddTo(WireMap map)
    {
        map["expiry"] = Expiries.Cast<object>().ToList();
        map["messages"] = Keys.ToTexts(Messages);
        if (Shorten) map["shorten"] = 1L;
        if (Extend) map["extend"] = 1L;
    }
}

/// <summary>`Messages` null is all.</summary>
internal sealed record GetExpiriesRequest(AccountId Account, RequestAuth Auth, IReadOnlyList<MessageKey>? Messages, long Timestamp) : AccountRequest("get_expiries", Account, Auth)
{
    protected override void AddTo(WireMap map) => map["timestamp"] = Timestamp;
}

internal sealed record RevokeRequest(AccountId Account, RequestAuth Auth, IReadOnlyList<byte[]> Tokens, long Timestamp, bool Revoke)
    : WriteRequest(Revoke ? "revoke_subaccount" : "unrevoke_subaccount", Account, Auth)
{
    protected override void AddTo(WireMap map)
    {
        map[Revoke ? "revoke" : "unrevoke"] = Tokens.Cast<object>().ToList();
        map["timestamp"] = Timestamp;
    }
}

internal sealed record RevokedSubaccountsRequest(AccountId Account, RequestAuth Auth, long Timestamp) : AccountRequest("revoked_subaccounts", Account, Auth)
{
    protected override void AddTo(WireMap map) => map["timestamp"] = Timestamp;
}

internal sealed record GetSwarmRequest(AccountId Account) : AccountRequest("get_swarm", Account, RequestAuth.None)
{
    protected override void AddTo(WireMap map)
    {
    }
}

internal sealed record InfoRequest() : SwarmRequest("info");

internal sealed record ActiveNodesRequest() : SwarmRequest("active_nodes_bin");

internal sealed record OxendRequest(string Endpoint, WireMap Params) : SwarmRequest("oxend_request");

/// <summary>Several requests; a sequence stops at the first that fails.</summary>
internal sealed record BatchRequest(IReadOnlyList<SwarmRequest> Requests, bool Sequence) : SwarmRequest(Sequence ? "sequence" : "batch");

/// <summary>All conditions must hold; null ones were not given.</summary>
internal sealed record IfElseRequest(
    IReadOnlyList<long>? HardForkAtLeast, IReadOnlyList<long>? HardForkBefore, IReadOnlyList<long>? VersionAtLeast, IReadOnlyList<long>? VersionBefore,
    long? HeightAtLeast, long? HeightBefore, SwarmRequest? Then, SwarmRequest? Else) : SwarmRequest("ifelse");

/// <summary>Hashes and namespaces as bt values.</summary>
internal static class Keys
{
    public static List<object> ToTexts(IEnumerable<MessageKey> keys) => [.. keys.Select(k => (object)k.ToString())];

    public static object ToWire(short? space) => space is { } s ? (long)s : "all";
}
