using System.Globalization;
using System.Net;
using System.Text;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Clients;

// A client of the storage API: finds the account's swarm, asks one member after another until one answers, follows a 421 to the
// right swarm, and believes no message whose hash does not belong to its bytes.

/// <summary>Stores, retrieves and deletes messages. Any thread.</summary>
public sealed class SwarmClient
{
    private const int MaxMoves = 3;
    private readonly ISwarmRoute _route;
    private readonly IReadOnlyList<SwarmMember> _nodes;
    private readonly SwarmRing _ring;
    private readonly TimeProvider _time;

    /// <summary>Makes a client.</summary>
    /// <param name="route">How nodes are asked.</param>
    /// <param name="nodes">Nodes to begin with: all of the network with their swarms, or some whose swarm is not known (<see cref="SwarmRing.Unassigned"/>).</param>
    /// <param name="time">The clock; null: the system's.</param>
    public SwarmClient(ISwarmRoute route, IReadOnlyList<SwarmMember> nodes, TimeProvider? time = null)
    {
        ArgumentNullException.ThrowIfNull(route);
        ArgumentNullException.ThrowIfNull(nodes);
        _route = route;
        _nodes = nodes;
        _time = time ?? TimeProvider.System;
        _ring = new SwarmRing(nodes.Where(n => n.Active && n.SwarmId != SwarmRing.Unassigned).Select(n => n.SwarmId).Distinct());
    }

    private long Now => _time.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>The members of an account's swarm.</summary>
    /// <exception cref="SwarmRequestException">Nobody could tell.</exception>
    public async Task<IReadOnlyList<SwarmMember>> FindSwarmAsync(AccountId account, CancellationToken cancel)
    {
        if (_ring.TryFind(account, out ulong swarm)) return [.. _nodes.Where(n => n.Active && n.SwarmId == swarm)];
        var request = new WireMap { ["pubkey"] = account.ToHex() };
        foreach (SwarmMember node in Shuffled(_nodes))
        {
            SwarmAnswer answer = await _route.AskAsync(node, Write("get_swarm", request), cancel).ConfigureAwait(false);
            if (answer.Status == 200 && ReadSwarm(answer) is { Count: > 0 } members) return members;
        }

        throw new SwarmRequestException(0, "no node could tell which swarm the account belongs to");
    }

    /// <summary>Stores a message.</summary>
    /// <param name="to">Whose message it is.</param>
    /// <param name="data">At most <see cref="StoreLimits.MaxDataBytes"/>.</param>
    /// <param name="lifetime">How long it is kept.</param>
    /// <param name="space">The namespace.</param>
    /// <param name="signer">The account's owner; needed where <see cref="NamespaceRules.StoreNeedsSignature"/>.</param>
    /// <param name="cancel">Gives up.</param>
    /// <exception cref="SwarmRequestException">It was refused, or no quorum has it.</exception>
    public async Task<SwarmStored> StoreAsync(AccountId to, ReadOnlyMemory<byte> data, TimeSpan lifetime, short space = 0, SwarmAccount? signer = null, CancellationToken cancel = default)
    {
        long now = Now;
        var request = new WireMap
        {
            ["data"] = new WireBytes(data, BytesForm.Base64), ["expiry"] = now + (long)lifetime.TotalMilliseconds, ["namespace"] = (long)space, ["pubkey"] = to.ToHex(), ["timestamp"] = now,
        };
        if (NamespaceRules.StoreNeedsSignature(space))
        {
            if (signer is null) throw new SwarmRequestException(401, $"namespace {space} takes messages from its owner alone");
            Sign(request, signer, string.Create(CultureInfo.InvariantCulture, $"store{Text(space)}{now}"));
        }

        WireMap reply = await AskAsync(to, "store", request, cancel).ConfigureAwait(false);
        if (reply.GetValueOrDefault("hash") as string != MessageHash.Of(data.Span, to, space) || reply.GetValueOrDefault("swarm") is not WireMap swarm) throw new SwarmRequestException(0, "the node's answer is no answer to this request");
        WireMap[] kept = [.. swarm.Values.OfType<WireMap>().Where(e => !e.ContainsKey("failed") && e.ContainsKey("hash"))];
        return new SwarmStored(MessageHash.Of(data.Span, to, space), kept.Max(e => e.GetValueOrDefault("expiry") as long?) ?? 0, kept.Length, swarm.Count);
    }

    /// <summary>The messages of a namespace, in the order of one member.</summary>
    /// <param name="account">Whose.</param>
    /// <param name="space">The namespace.</param>
    /// <param name="last">Only what came after this hash; null: all.</param>
    /// <param name="limit">At most so many.</param>
    /// <param name="cancel">Gives up.</param>
    /// <exception cref="SwarmRequestException">It was refused, or nobody answered.</exception>
    public async Task<IReadOnlyList<SwarmMessage>> RetrieveAsync(SwarmAccount account, short space = 0, string? last = null, int limit = int.MaxValue, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(account);
        var found = new List<SwarmMessage>();
        while (found.Count < limit)
        {
            long now = Now;
            var request = new WireMap { ["max_size"] = -1L, ["namespace"] = (long)space, ["pubkey"] = account.Id.ToHex(), ["timestamp"] = now };
            if (limit < int.MaxValue) request["max_count"] = (long)(limit - found.Count);
            if (last is not null) request["last_hash"] = last;
            Sign(request, account, string.Create(CultureInfo.InvariantCulture, $"retrieve{Text(space)}{now}"));
            WireMap reply = await AskAsync(account.Id, "retrieve", request, cancel).ConfigureAwait(false);
            if (reply.GetValueOrDefault("messages") is not List<object> { Count: > 0 } messages) break;
            foreach (WireMap message in messages.OfType<WireMap>())
            {
                if (message.GetValueOrDefault("hash") is not string hash || message.GetValueOrDefault("data") is not string text) continue;
                last = hash;
                byte[] data = new byte[text.Length];
                if (!Convert.TryFromBase64String(text, data, out int length) || MessageHash.Of(data.AsSpan(0, length), account.Id, space) != hash) continue;
                found.Add(new SwarmMessage(hash, message.GetValueOrDefault("timestamp") as long? ?? 0, message.GetValueOrDefault("expiration") as long? ?? 0, data.AsMemory(0, length)));
            }

            if (reply.GetValueOrDefault("more") is not true) break;
        }

        return found;
    }

    /// <summary>Deletes messages; the hashes that some member really had.</summary>
    /// <exception cref="SwarmRequestException">It was refused, or no quorum did it.</exception>
    public async Task<IReadOnlyCollection<string>> DeleteAsync(SwarmAccount account, IReadOnlyList<string> hashes, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(account);
        ArgumentNullException.ThrowIfNull(hashes);
        var request = new WireMap { ["messages"] = hashes.Select(h => (object)h).ToList(), ["pubkey"] = account.Id.ToHex() };
        Sign(request, account, "delete" + string.Concat(hashes));
        return Deleted(await AskAsync(account.Id, "delete", request, cancel).ConfigureAwait(false));
    }

    /// <summary>Deletes all messages of a namespace; their hashes.</summary>
    /// <exception cref="SwarmRequestException">It was refused, or no quorum did it.</exception>
    public async Task<IReadOnlyCollection<string>> DeleteAllAsync(SwarmAccount account, short space = 0, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(account);
        long now = Now;
        var request = new WireMap { ["namespace"] = (long)space, ["pubkey"] = account.Id.ToHex(), ["timestamp"] = now };
        Sign(request, account, string.Create(CultureInfo.InvariantCulture, $"delete_all{Text(space)}{now}"));
        return Deleted(await AskAsync(account.Id, "delete_all", request, cancel).ConfigureAwait(false));
    }

    private static SortedSet<string> Deleted(WireMap reply) =>
        [.. reply.GetValueOrDefault("swarm") is WireMap swarm ? swarm.Values.OfType<WireMap>().SelectMany(e => e.GetValueOrDefault("deleted") is List<object> list ? list.OfType<string>() : []) : []];

    private static string Text(short space) => space == 0 ? "" : space.ToString(CultureInfo.InvariantCulture);

    private static void Sign(WireMap request, SwarmAccount account, string text)
    {
        request["pubkey_ed25519"] = Convert.ToHexStringLower(account.Ed25519.Span);
        request["signature"] = account.Sign(text);
    }

    private static byte[] Write(string method, WireMap parameters) => JsonWire.Write(new WireMap { ["method"] = method, ["params"] = parameters });

    private static SwarmMember[] Shuffled(IReadOnlyList<SwarmMember> nodes)
    {
        SwarmMember[] order = [.. nodes];
        System.Security.Cryptography.RandomNumberGenerator.Shuffle(order.AsSpan());
        return order;
    }

    // One member after another: what one cannot do, because it is away, catching up or without a quorum, another may.
    private async Task<WireMap> AskAsync(AccountId account, string method, WireMap parameters, CancellationToken cancel)
    {
        byte[] request = Write(method, parameters);
        IReadOnlyList<SwarmMember> members = await FindSwarmAsync(account, cancel).ConfigureAwait(false);
        SwarmAnswer answer = SwarmAnswer.None;
        for (int move = 0; move < MaxMoves; move++)
        {
            bool moved = false;
            foreach (SwarmMember member in Shuffled(members))
            {
                SwarmAnswer now = await _route.AskAsync(member, request, cancel).ConfigureAwait(false);
                if (now.Status == 0) continue;
                answer = now;
                if (answer.Status == 200 && JsonWire.TryRead(answer.Body, out object? value) && value is WireMap map) return map;
                if (answer.Status == 421 && ReadSwarm(answer) is { Count: > 0 } others)
                {
                    (members, moved) = (others, true);
                    break;
                }

                if (answer.Status is >= 400 and < 500 and not 421 and not 429) throw Refusal(answer);
            }

            if (!moved) break;
        }

        throw Refusal(answer);
    }

    private static SwarmRequestException Refusal(SwarmAnswer answer) =>
        answer.Status == 0 ? new SwarmRequestException(0, "no member of the account's swarm answered")
        : answer.Status == 421 ? new SwarmRequestException(421, "the nodes do not agree which swarm the account belongs to")
        : answer.Body.Span is [(byte)'{', ..] ? new SwarmRequestException(answer.Status, "too few members of the swarm could do it")
        : new SwarmRequestException(answer.Status, Encoding.UTF8.GetString(answer.Body.Span).Trim());

    private static List<SwarmMember>? ReadSwarm(SwarmAnswer answer)
    {
        if (!JsonWire.TryRead(answer.Body, out object? value) || value is not WireMap map || map.GetValueOrDefault("snodes") is not List<object> nodes) return null;
        var members = new List<SwarmMember>();
        foreach (WireMap node in nodes.OfType<WireMap>())
        {
            byte[] id = new byte[32];
            if (node.GetValueOrDefault("pubkey_ed25519") is not string { Length: 64 } hex || Convert.FromHexString(hex, id, out _, out _) != System.Buffers.OperationStatus.Done) continue;
            if (!IPAddress.TryParse(node.GetValueOrDefault("ip") as string, out IPAddress? address)) continue;
            int https = node.GetValueOrDefault("port_https") is long p and > 0 and <= 65535 ? (int)p : 0, quic = node.GetValueOrDefault("port_quic") is long q and > 0 and <= 65535 ? (int)q : 0;
            members.Add(new SwarmMember(id, SwarmRing.Unassigned, address, https, quic));
        }

        return members;
    }
}
