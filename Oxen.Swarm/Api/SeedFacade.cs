using System.Security.Cryptography;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Api;

// What clients ask a seed node for, and `oxend_request` of storage nodes: the list of nodes in the ledger's words.

/// <summary>`get_service_nodes` and its aliases.</summary>
internal static class SeedFacade
{
    /// <summary>The result object. `fields`: which keys of a node are wanted, all if none are named; `limit`: that many of them by chance.</summary>
    public static WireMap ServiceNodes(WireMap parameters, SwarmView view, SwarmSettings settings)
    {
        HashSet<string>? fields = parameters.GetValueOrDefault("fields") switch
        {
            WireMap map => [.. map.Where(f => f.Value is true or 1L).Select(f => f.Key)],
            List<object> list => [.. list.OfType<string>()],
            _ => null,
        };
        if (fields is { Count: 0 } || fields?.Contains("all") == true) fields = null;
        bool activeOnly = parameters.GetValueOrDefault("active_only") is true or 1L;
        SwarmMember[] members = [.. view.Roster.Members.Where(m => !activeOnly || (m.Active && m.SwarmId != SwarmRing.Unassigned))];
        if (parameters.GetValueOrDefault("limit") is long limit && limit > 0 && limit < members.Length)
        {
            RandomNumberGenerator.Shuffle(members.AsSpan());
            members = members[..(int)limit];
        }

        return new WireMap
        {
            ["hardfork"] = settings.HardFork[0],
            ["height"] = (long)view.Roster.Height,
            ["service_node_states"] = members.Select(m => (object)Describe(m, view.Roster.Height, fields)).ToList(),
            ["snode_revision"] = settings.HardFork[1],
            ["status"] = "OK",
        };
    }

    /// <summary>A JSON-RPC request of a seed node; the reply's bytes.</summary>
    public static (int Status, byte[] Body) JsonRpc(ReadOnlyMemory<byte> body, SwarmView view, SwarmSettings settings)
    {
        object id = "0";
        if (!JsonWire.TryRead(body, out object? value) || value is not WireMap map) return Fail(id, -32700, "Parse error");
        id = map.GetValueOrDefault("id") ?? id;
        if (map.GetValueOrDefault("method") is not string method) return Fail(id, -32600, "Invalid Request");
        if (method is not ("get_n_service_nodes" or "get_service_nodes" or "get_all_service_nodes")) return Fail(id, -32601, "Method not found");
        WireMap parameters = map.GetValueOrDefault("params") as WireMap ?? [];
        return (ApiResult.Ok, JsonWire.Write(new WireMap { ["id"] = id, ["jsonrpc"] = "2.0", ["result"] = ServiceNodes(parameters, view, settings) }));
    }

    private static (int Status, byte[] Body) Fail(object id, long code, string message) =>
        (ApiResult.Ok, JsonWire.Write(new WireMap { ["error"] = new WireMap { ["code"] = code, ["message"] = message }, ["id"] = id, ["jsonrpc"] = "2.0" }));

    private static WireMap Describe(SwarmMember member, ulong height, HashSet<string>? fields)
    {
        var node = new WireMap
        {
            ["active"] = member.Active,
            ["funded"] = true,
            ["pubkey_ed25519"] = member.Hex,
            ["pubkey_x25519"] = Convert.ToHexStringLower(EdwardsMap.ToX25519(member.Ed25519.Span)),
            ["public_ip"] = member.Address?.ToString() ?? "0.0.0.0",
            ["requested_unlock_height"] = 0L,
            ["service_node_pubkey"] = member.Hex,
            ["storage_lmq_port"] = (long)member.QuicPort,
            ["storage_port"] = (long)member.HttpsPort,
            ["storage_server_version"] = new List<object> { (long)member.Version.Major, (long)member.Version.Minor, (long)Math.Max(0, member.Version.Build) },
            ["swarm"] = SwarmRing.ToHex(member.SwarmId),
            ["swarm_id"] = member.SwarmId,
        };
        if (fields is null) return node;
        foreach (string key in node.Keys.Where(k => !fields.Contains(k)).ToArray()) node.Remove(key);
        if (fields.Contains("height")) node["height"] = (long)height;
        return node;
    }
}
