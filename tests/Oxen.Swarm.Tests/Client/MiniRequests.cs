using System.Text.Json.Nodes;

namespace Oxen.Swarm.Tests.Client;

/// <summary>Requests as clients write them, from the format document.</summary>
internal static class MiniRequests
{
    public static JsonObject Call(string method, JsonObject parameters) => new() { ["method"] = method, ["params"] = parameters };

    public static JsonObject Store(MiniAccount account, byte[] data, long now, int space = 0, long ttl = 86_400_000)
    {
        var p = new JsonObject { ["pubkey"] = account.Id, ["timestamp"] = now, ["ttl"] = ttl, ["data"] = Convert.ToBase64String(data) };
        if (space != 0) p["namespace"] = space;
        if (space % 10 != 0)
        {
            AddKey(p, account);
            p["signature"] = account.Sign($"store{space}{now}");
        }

        return p;
    }

    public static JsonObject Retrieve(MiniAccount account, long now, int space = 0, string? last = null)
    {
        var p = new JsonObject { ["pubkey"] = account.Id, ["timestamp"] = now, ["signature"] = account.Sign($"retrieve{Space(space)}{now}") };
        if (space != 0) p["namespace"] = space;
        if (last is not null) p["last_hash"] = last;
        return AddKey(p, account);
    }

    public static JsonObject Delete(MiniAccount account, params string[] hashes) => AddKey(
        new JsonObject { ["pubkey"] = account.Id, ["messages"] = new JsonArray([.. hashes.Select(h => JsonValue.Create(h))]), ["signature"] = account.Sign("delete" + string.Concat(hashes)) }, account);

    /// <summary>`space` null is "all".</summary>
    public static JsonObject DeleteAll(MiniAccount account, long now, int? space = 0)
    {
        var p = new JsonObject { ["pubkey"] = account.Id, ["timestamp"] = now, ["signature"] = account.Sign($"delete_all{(space is { } s ? Space(s) : "all")}{now}") };
        if (space is null) p["namespace"] = "all";
        else if (space != 0) p["namespace"] = space;
        return AddKey(p, account);
    }

    public static JsonObject DeleteBefore(MiniAccount account, long before, int? space = 0)
    {
        var p = new JsonObject { ["pubkey"] = account.Id, ["before"] = before, ["signature"] = account.Sign($"delete_before{(space is { } s ? Space(s) : "all")}{before}") };
        if (space is null) p["namespace"] = "all";
        else if (space != 0) p["namespace"] = space;
        return AddKey(p, account);
    }

    public static JsonObject ExpireAll(MiniAccount account, long expiry, int? space = 0)
    {
        var p = new JsonObject { ["pubkey"] = account.Id, ["expiry"] = expiry, ["signature"] = account.Sign($"expire_all{(space is { } s ? Space(s) : "all")}{expiry}") };
        if (space is null) p["namespace"] = "all";
        else if (space != 0) p["namespace"] = space;
        return AddKey(p, account);
    }

    /// <summary>`mode`: "", "shorten" or "extend".</summary>
    public static JsonObject Expire(MiniAccount account, long expiry, string mode, params string[] hashes)
    {
        var p = new JsonObject
        {
            ["pubkey"] = account.Id, ["expiry"] = expiry, ["messages"] = new JsonArray([.. hashes.Select(h => JsonValue.Create(h))]),
            ["signature"] = account.Sign($"expire{mode}{expiry}{string.Concat(hashes)}"),
        };
        if (mode.Length > 0) p[mode] = true;
        return AddKey(p, account);
    }

    public static JsonObject GetExpiries(MiniAccount account, long now, params string[] hashes) => AddKey(
        new JsonObject
        {
            ["pubkey"] = account.Id, ["timestamp"] = now, ["messages"] = new JsonArray([.. hashes.Select(h => JsonValue.Create(h))]),
            ["signature"] = account.Sign($"get_expiries{now}{string.Concat(hashes)}"),
        }, account);

    public static JsonObject Revoke(MiniAccount account, long now, string method, params byte[][] tokens)
    {
        byte[] text = [.. System.Text.Encoding.ASCII.GetBytes($"{method}_subaccount{now}"), .. tokens.SelectMany(t => t)];
        return AddKey(
            new JsonObject
            {
                ["pubkey"] = account.Id, ["timestamp"] = now, [method] = new JsonArray([.. tokens.Select(t => JsonValue.Create(Convert.ToHexStringLower(t)))]),
                ["signature"] = Convert.ToBase64String(account.Sign(text)),
            }, account);
    }

    private static JsonObject AddKey(JsonObject p, MiniAccount account)
    {
        if (account.Network == 5) p["pubkey_ed25519"] = account.Ed25519Hex;
        return p;
    }

    private static string Space(int space) => space == 0 ? "" : space.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
