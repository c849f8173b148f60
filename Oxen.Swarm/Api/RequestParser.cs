using System.Collections.Frozen;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Api;

/// <summary>Reads requests: method and parameters to a typed value, or what is wrong with them.</summary>
internal sealed class RequestParser(bool allowTestNetwork)
{
    private const int MaxSubRequests = 20;
    private const int MaxRevocations = 50;
    private const int MaxNesting = 5;

    private static readonly FrozenSet<string> Metas = FrozenSet.Create("batch", "sequence", "ifelse");

    /// <summary>Methods that other nodes of the swarm may forward.</summary>
    public static readonly FrozenSet<string> Forwardable =
        FrozenSet.Create("store", "delete", "delete_all", "delete_before", "expire_all", "expire", "revoke_subaccount", "unrevoke_subaccount");

    private static readonly FrozenSet<string> Plain = FrozenSet.Create(
        "store", "retrieve", "delete", "delete_all", "delete_before", "expire_all", "expire", "get_expiries", "revoke_subaccount", "unrevoke_subaccount",
        "revoked_subaccounts", "get_swarm", "get_snodes_for_pubkey", "info", "oxend_request", "active_nodes_bin");

    public static bool Knows(string method) => Plain.Contains(method) || Metas.Contains(method);

    /// <summary>The request, or the text of a 400 without its prefix.</summary>
    public (SwarmRequest? Request, string? Fault) Parse(string method, WireMap parameters, bool bt) => Parse(method, parameters, bt, 0);

    private (SwarmRequest? Request, string? Fault) Parse(string method, WireMap parameters, bool bt, int depth)
    {
        var reader = new ParamReader(parameters, bt, allowTestNetwork);
        SwarmRequest? request = method switch
        {
            "store" => Store(reader),
            "retrieve" => Retrieve(reader),
            "delete" => Delete(reader),
            "delete_all" => DeleteAll(reader),
            "delete_before" => DeleteBefore(reader),
            "expire_all" => ExpireAll(reader),
            "expire" => Expire(reader),
            "get_expiries" => GetExpiries(reader),
            "revoke_subaccount" => Revoke(reader, true),
            "unrevoke_subaccount" => Revoke(reader, false),
            "revoked_subaccounts" => RevokedSubaccounts(reader),
            "get_swarm" or "get_snodes_for_pubkey" => new GetSwarmRequest(reader.Account(swarmForm: true)),
            "info" => new InfoRequest(),
            "active_nodes_bin" => new ActiveNodesRequest(),
            "oxend_request" => Oxend(reader, bt),
            "batch" => Batch(reader, bt, false, depth),
            "sequence" => Batch(reader, bt, true, depth),
            "ifelse" => IfElse(reader, bt, depth),
            _ => null,
        };
        if (request is null && reader.Fault is null) return (null, $"no method {method}");
        return reader.Fault is null ? (request, null) : (null, reader.Fault);
    }

    private static StoreRequest Store(ParamReader reader)
    {
        AccountId account = reader.Account();
        RequestAuth auth = reader.Auth(account, false);
        byte[] data = reader.Data();
        long timestamp = reader.Time("timestamp", text: true);
        long expiry = 0;
        if (reader.Has("expiry") && reader.Has("ttl")) reader.Fail("Cannot specify both 'expiry' and 'ttl'");
        else if (reader.Has("expiry")) expiry = reader.Time("expiry");
        else if (!reader.Has("ttl")) reader.Fail("Required field 'expiry' or 'ttl' missing");
        else expiry = Later(timestamp, Ttl(reader));
        short space = reader.Space();
        long signed = reader.OptionalTime("sig_timestamp") ?? timestamp;
        return new StoreRequest(account, auth, space, reader.Fault is null ? data : [], timestamp, expiry, signed);
    }

    private static long Ttl(ParamReader reader)
    {
        switch (reader.Raw("ttl"))
        {
            case long ttl when ttl >= 0: return ttl;
            case string text when ulong.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out ulong ttl) && ttl <= long.MaxValue: return (long)ttl;
            default:
                reader.Wrong("ttl", "positive integer");
                return 0;
        }
    }

    private static long Later(long timestamp, long ttl) => timestamp > long.MaxValue - ttl ? long.MaxValue : timestamp + ttl;

    private static RetrieveRequest Retrieve(ParamReader reader)
    {
        AccountId account = reader.Account();
        short space = reader.Space();
        bool named = reader.Has("namespace") && NamespaceRules.RetrieveNeedsSignature(space);
        bool authenticated = named || reader.HasAny("pubkey_ed25519", "signature", "timestamp");
        RequestAuth auth = reader.Auth(account, authenticated);
        long? timestamp = reader.OptionalTime("timestamp");
        if (authenticated && timestamp is null) reader.Missing("timestamp");
        MessageKey? last = reader.LastHash();
        long count = reader.Integer("max_count") ?? 0;
        long size = reader.Integer("max_size") ?? 0;
        return new RetrieveRequest(account, auth, space, last, count == 0 ? 0 : (int)Math.Clamp(count, 1, int.MaxValue), size, timestamp, authenticated);
    }

    private static DeleteRequest Delete(ParamReader reader)
    {
        AccountId account = reader.Account();
        return new DeleteRequest(account, reader.Auth(account, true), reader.Hashes(), reader.Flag("required"));
    }

    private static DeleteAllRequest DeleteAll(ParamReader reader)
    {
        AccountId account = reader.Account();
        return new DeleteAllRequest(account, reader.Auth(account, true), reader.SpaceOrAll(), reader.Time("timestamp"));
    }

    private static DeleteBeforeRequest DeleteBefore(ParamReader reader)
    {
        AccountId account = reader.Account();
        return new DeleteBeforeRequest(account, reader.Auth(account, true), reader.SpaceOrAll(), reader.Time("before"));
    }

    private static ExpireAllRequest ExpireAll(ParamReader reader)
    {
        AccountId account = reader.Account();
        return new ExpireAllRequest(account, reader.Auth(account, true), reader.SpaceOrAll(), reader.Time("expiry"));
    }

    private static ExpireRequest Expire(ParamReader reader)
    {
        AccountId account = reader.Account();
        RequestAuth auth = reader.Auth(account, true);
        IReadOnlyList<MessageKey> messages = reader.Hashes();
        IReadOnlyList<long> expiries = reader.Times("expiry");
        bool shorten = reader.Flag("shorten"), extend = reader.Flag("extend");
        if (shorten && extend) reader.Fail("cannot specify both 'shorten' and 'extend'");
        if (expiries.Count == 0) reader.Fail("'expiry' does not contain any expiration timestamps");
        else if (expiries.Count != 1 && expiries.Count != messages.Count) reader.Fail("'expiry' must be a single expiry, or the same length as 'messages'");
        return new ExpireRequest(account, auth, messages, expiries, shorten, extend);
    }

    private static GetExpiriesRequest GetExpiries(ParamReader reader)
    {
        AccountId account = reader.Account();
        RequestAuth auth = reader.Auth(account, true);
        bool all = reader.Raw("messages") is { } value and not List<object> && ParamReader.Text(value) == "all";
        return new GetExpiriesRequest(account, auth, all ? null : reader.Hashes(), reader.Time("timestamp"));
    }

    private static RevokeRequest Revoke(ParamReader reader, bool revoke)
    {
        AccountId account = reader.Account();
        string name = revoke ? "revoke" : "unrevoke";
        List<byte[]> tokens = reader.Tokens(name);
        if (tokens.Count > MaxRevocations) reader.Fail($"invalid {name}: cannot {name} more than {MaxRevocations} subaccounts at once");
        return new RevokeRequest(account, reader.Auth(account, true), tokens, reader.Time("timestamp"), revoke);
    }

    private static RevokedSubaccountsRequest RevokedSubaccounts(ParamReader reader)
    {
        AccountId account = reader.Account();
        return new RevokedSubaccountsRequest(account, reader.Auth(account, true), reader.Time("timestamp"));
    }

    private static OxendRequest Oxend(ParamReader reader, bool bt)
    {
        string endpoint = reader.OptionalText("endpoint") ?? "";
        if (!reader.Has("endpoint")) reader.Missing("endpoint");
        else if (endpoint is not ("get_service_nodes" or "ons_resolve")) reader.Fail($"Invalid oxend endpoint '{endpoint}'");
        WireMap parameters = [];
        switch (reader.Raw("params"))
        {
            case null: break;
            case WireMap map when !bt: parameters = map; break;
            case byte[] json when bt && JsonWire.TryRead(json, out object? value) && value is WireMap map: parameters = map; break;
            default: reader.Wrong("params", bt ? "JSON string" : "object"); break;
        }

        return new OxendRequest(endpoint, parameters);
    }

    private BatchRequest Batch(ParamReader reader, bool bt, bool sequence, int depth)
    {
        var requests = new List<SwarmRequest>();
        if (reader.Raw("requests") is not List<object> { Count: > 0 } list)
        {
            reader.Fail("Invalid batch request: no valid \"requests\" field");
            return new BatchRequest(requests, sequence);
        }

        if (list.Count > MaxSubRequests) reader.Fail("Invalid batch request: subrequest limit exceeded");
        foreach (object item in reader.Fault is null ? list : [])
        {
            if (item is not WireMap map) reader.Fail("Invalid batch request: requests must be objects");
            else if (Split(map) is not var (method, parameters)) reader.Fail("Invalid batch request: subrequests must have method/params keys");
            else if (Metas.Contains(method)) reader.Fail("Invalid batch request: subrequests may not contain meta-requests");
            else if (!Plain.Contains(method)) reader.Fail($"Invalid batch subrequest: invalid method \"{method}\"");
            else if (Parse(method, parameters, bt, depth + 1) is var (request, fault) && request is not null) requests.Add(request);
            else reader.Fail(fault!);
            if (reader.Fault is not null) break;
        }

        return new BatchRequest(requests, sequence);
    }

    private static (string Method, WireMap Params)? Split(WireMap map) =>
        map.GetValueOrDefault("method") is { } name && ParamReader.Text(name) is { } method && map.GetValueOrDefault("params") is WireMap parameters ? (method, parameters) : null;

    private IfElseRequest? IfElse(ParamReader reader, bool bt, int depth)
    {
        if (depth >= MaxNesting)
        {
            reader.Fail("Invalid ifelse request: too deep");
            return null;
        }

        if (reader.Raw("if") is not WireMap conditions)
        {
            reader.Fail("Invalid ifelse request: no valid \"if\" field");
            return null;
        }

        var tests = new ParamReader(conditions, bt, allowTestNetwork);
        IReadOnlyList<long>? forkFrom = Tuple(tests, "hf_at_least", 2), forkBefore = Tuple(tests, "hf_before", 2);
        IReadOnlyList<long>? versionFrom = Tuple(tests, "v_at_least", 3), versionBefore = Tuple(tests, "v_before", 3);
        long? heightFrom = tests.Integer("height_at_least"), heightBefore = tests.Integer("height_before");
        if (tests.Fault is { } wrong) reader.Fail(wrong);
        if (!conditions.Keys.Any(k => k is "hf_at_least" or "hf_before" or "v_at_least" or "v_before" or "height_at_least" or "height_before"))
            reader.Fail("Invalid ifelse request: \"if\" has no condition");
        if (!reader.HasAny("then", "else")) reader.Fail("Invalid ifelse request: \"then\" or \"else\" is required");
        return new IfElseRequest(forkFrom, forkBefore, versionFrom, versionBefore, heightFrom, heightBefore, Branch(reader, "then", bt, depth), Branch(reader, "else", bt, depth));
    }

    private SwarmRequest? Branch(ParamReader reader, string name, bool bt, int depth)
    {
        if (reader.Raw(name) is not { } value || reader.Fault is not null) return null;
        if (value is not WireMap map || Split(map) is not var (method, parameters))
        {
            reader.Fail($"Invalid ifelse request: \"{name}\" must have method/params keys");
            return null;
        }

        if (!Knows(method))
        {
            reader.Fail($"Invalid ifelse request: invalid method \"{method}\"");
            return null;
        }

        (SwarmRequest? request, string? fault) = Parse(method, parameters, bt, depth + 1);
        if (fault is not null) reader.Fail(fault);
        return request;
    }

    private static long[]? Tuple(ParamReader reader, string name, int most)
    {
        if (reader.Raw(name) is not { } value) return null;
        if (value is List<object> { Count: > 0 } list && list.Count <= most && list.TrueForAll(o => o is long)) return [.. list.Cast<long>()];
        reader.Wrong(name, "integer array");
        return null;
    }
}
