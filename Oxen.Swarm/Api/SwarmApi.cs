using Oxen.Swarm.Duties;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Replication;
using Oxen.Swarm.Storage;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Api;

// The one dispatcher behind every door: HTTPS, onion requests, the router's plug-in seam. docs/protocol/swarm.md#methods
//
//   parse  ->  is the account ours (421)  ->  limits, times, signature  ->  here (reads) or in the whole swarm (writes)

/// <summary>The storage API.</summary>
internal sealed class SwarmApi(NodeCore core, ReplicaService replica, Coordinator coordinator, RequestParser parser, SwarmSettings settings, ISwarmLedger? ledger)
{
    private const int DefaultSizeShare = -5;

    /// <summary>A request as a door got it: the body of `storage_rpc`, JSON. `limits`: whoever sent it is unknown, so accounts have limits.</summary>
    public async Task<ApiResult> HandleJsonAsync(ReadOnlyMemory<byte> body, OnionLimits? limits = null, CancellationToken cancel = default)
    {
        if (!JsonWire.TryRead(body, out object? value) || value is not WireMap map) return ApiResult.Error(ApiResult.BadRequest, "invalid json");
        if (map.GetValueOrDefault("method") is not string method) return ApiResult.Error(ApiResult.BadRequest, "invalid json: no `method` field");
        if (map.GetValueOrDefault("params") is not WireMap parameters) return ApiResult.Error(ApiResult.BadRequest, "invalid json: no `params` field");
        return await HandleAsync(method, parameters, bt: false, limits, cancel).ConfigureAwait(false);
    }

    /// <summary>A method and its parameters, JSON or bt by the first byte; nothing is `{}`.</summary>
    public async Task<(ApiResult Result, bool Bt)> HandleMethodAsync(string method, ReadOnlyMemory<byte> body, CancellationToken cancel = default)
    {
        bool bt = !body.IsEmpty && body.Span[0] == 'd';
        object? value = new WireMap();
        bool read = body.IsEmpty || (bt ? BtEncoding.TryRead(body.Span, out value) : JsonWire.TryRead(body, out value));
        if (!read || value is not WireMap map) return (ApiResult.Error(ApiResult.BadRequest, "invalid body: expected json or bt_dict"), bt);
        return (await HandleAsync(method, map, bt, null, cancel).ConfigureAwait(false), bt);
    }

    public async Task<ApiResult> HandleAsync(string method, WireMap parameters, bool bt, OnionLimits? limits, CancellationToken cancel)
    {
        if (!RequestParser.Knows(method)) return ApiResult.Error(ApiResult.BadRequest, $"no method {method}");
        (SwarmRequest? request, string? fault) = parser.Parse(method, parameters, bt);
        if (request is null) return ApiResult.Invalid(fault!);
        return await ExecuteAsync(request, limits, cancel).ConfigureAwait(false);
    }

    /// <summary>Why the node cannot serve clients now; empty if it can.</summary>
    public IReadOnlyList<string> NotReady()
    {
        var reasons = new List<string>();
        if (core.View.SwarmId == SwarmRing.Unassigned) reasons.Add("not in any swarm");
        else if (!core.Votes) reasons.Add("not done syncing");
        return reasons;
    }

    /// <summary>The body of `get_swarm`, and of a 421.</summary>
    public static WireMap DescribeSwarm(AccountId account, SwarmView view)
    {
        bool found = view.Ring.TryFind(account, out ulong swarm);
        var nodes = new List<object>();
        foreach (SwarmMember member in found ? view.MembersOf(swarm) : [])
        {
            nodes.Add(new WireMap
            {
                ["address"] = SwarmView.Address(member.Ed25519.Span),
                ["ip"] = member.Address?.ToString() ?? "0.0.0.0",
                ["port"] = member.HttpsPort.ToString(System.Globalization.CultureInfo.InvariantCulture),
                ["port_https"] = (long)member.HttpsPort,
                ["port_omq"] = (long)member.QuicPort,
                ["port_quic"] = (long)member.QuicPort,
                ["pubkey_ed25519"] = member.Hex,
                ["pubkey_legacy"] = member.Hex,
                ["pubkey_x25519"] = Convert.ToHexStringLower(EdwardsMap.ToX25519(member.Ed25519.Span)),
            });
        }

        return new WireMap { ["snodes"] = nodes, ["swarm"] = SwarmRing.ToHex(swarm) };
    }

    private async Task<ApiResult> ExecuteAsync(SwarmRequest request, OnionLimits? limits, CancellationToken cancel)
    {
        try
        {
            return request switch
            {
                BatchRequest batch => await BatchAsync(batch, limits, cancel).ConfigureAwait(false),
                IfElseRequest ifElse => await IfElseAsync(ifElse, limits, cancel).ConfigureAwait(false),
                InfoRequest => Timed(new WireMap { ["timestamp"] = core.Clock.Now, ["version"] = settings.Version.Select(v => (object)v).ToList() }),
                GetSwarmRequest swarm => Timed(DescribeSwarm(swarm.Account, core.View)),
                ActiveNodesRequest => new ApiResult(ApiResult.Ok, core.View.ToBinary()),
                OxendRequest oxend => await OxendAsync(oxend, cancel).ConfigureAwait(false),
                AccountRequest account when !core.View.Owns(account.Account) => Timed(DescribeSwarm(account.Account, core.View), ApiResult.Misdirected),
                AccountRequest account when limits?.Take(account.Account) == false => ApiResult.Error(ApiResult.TooMany, "Too many requests, try again later"),
                WriteRequest write => await WriteAsync(write).ConfigureAwait(false),
                RetrieveRequest retrieve => Retrieve(retrieve),
                GetExpiriesRequest expiries => Expiries(expiries),
                RevokedSubaccountsRequest revoked => Revoked(revoked),
                _ => ApiResult.Error(ApiResult.BadRequest, $"no method {request.Method}"),
            };
        }
        catch (StoreException)
        {
            return ApiResult.Error(ApiResult.Unavailable, "storage is unavailable");
        }
    }

    private ApiResult Timed(WireMap map, int status = ApiResult.Ok)
    {
        map["hf"] = settings.HardFork.Select(h => (object)h).ToList();
        map["t"] = core.Clock.Now;
        return new ApiResult(status, map);
    }

    private async Task<ApiResult> WriteAsync(WriteRequest request)
    {
        if (replica.Check(request, forwarded: false) is { } refused) return refused;
        CoordinatedWrite written = await coordinator.WriteAsync(request).ConfigureAwait(false);
        var reply = new WireMap { ["swarm"] = written.Swarm };
        int status = written.Status;
        if (request is StoreRequest store)
        {
            reply["hash"] = store.Key.ToString();
            if (written.Own is { IsDone: true, Element: { } own }) own["t"] = core.Clock.Now; // old clients look here
            if (status == ApiResult.Ok) core.Counters.CountStore();
        }

        if (request is DeleteRequest { Required: true } && status == ApiResult.Ok && !written.Swarm.Values.Any(e => e is WireMap m && m.GetValueOrDefault("deleted") is List<object> { Count: > 0 }))
            status = ApiResult.NotFound;
        return Timed(reply, status);
    }

    private ApiResult Retrieve(RetrieveRequest request)
    {
        long now = core.Clock.Now;
        if (NamespaceRules.RetrieveNeedsSignature(request.Space) || request.Authenticated)
        {
            if (!request.Authenticated) return ApiResult.Error(ApiResult.Unauthorized, "retrieve: request signature required");
            if (Math.Abs(now - request.Timestamp!.Value) > ReplicaService.Tolerance) return ApiResult.Error(ApiResult.NotAcceptable, "retrieve timestamp too far from current time");
            byte[] text = Signatures.Text("retrieve", Signatures.Space(request.Space), request.Timestamp.Value);
            Func<AccountId, byte[], bool>? isRevoked = NamespaceRules.RevokedMayRetrieve(request.Space) ? null : replica.IsRevoked;
            if (!Signatures.Verify(text, request.Account, request.Auth, Access.Read, isRevoked)) return ApiResult.Error(ApiResult.Unauthorized, "retrieve signature verification failed");
        }

        long share = request.MaxSize == 0 && request.MaxCount == 0 ? DefaultSizeShare : request.MaxSize;
        long budget = share switch
        {
            0 => MessageStore.RetrieveBudget,
            > 0 => Math.Min(share, MessageStore.RetrieveBudget),
            long.MinValue => 0,
            _ => MessageStore.RetrieveBudget / -share,
        };
        (List<RetrievedMessage> messages, bool more) = core.Store.Retrieve(request.Account, request.Space, request.Last, request.MaxCount, budget, now);
        core.Counters.CountRetrieve();
        List<object> list = messages.ConvertAll(m => (object)new WireMap
        {
            ["data"] = new WireBytes(m.Data, BytesForm.Base64), ["expiration"] = m.Expiry, ["hash"] = m.Key.ToString(), ["timestamp"] = m.Timestamp,
        });
        return Timed(new WireMap { ["messages"] = list, ["more"] = more });
    }

    private ApiResult Expiries(GetExpiriesRequest request)
    {
        if (Math.Abs(core.Clock.Now - request.Timestamp) > ReplicaService.Tolerance) return ApiResult.Error(ApiResult.NotAcceptable, "get_expiries timestamp too far from current time");
        byte[] text = request.Messages is { } m ? Signatures.Text("get_expiries", request.Timestamp, m) : Signatures.Text("get_expiries", request.Timestamp, "all");
        if (!Signatures.Verify(text, request.Account, request.Auth, Access.Read, replica.IsRevoked)) return ApiResult.Error(ApiResult.Unauthorized, "get_expiries signature verification failed");
        var map = new WireMap();
        Dictionary<MessageKey, long> found = request.Messages is { } keys ? core.Store.Expiries(request.Account, keys, core.Clock.Now) : core.Store.AllExpiries(request.Account, core.Clock.Now);
        foreach ((MessageKey key, long expiry) in found) map[key.ToString()] = expiry;
        return new ApiResult(ApiResult.Ok, new WireMap { ["expiries"] = map });
    }

    private ApiResult Revoked(RevokedSubaccountsRequest request)
    {
        if (Math.Abs(core.Clock.Now - request.Timestamp) > ReplicaService.Tolerance) return ApiResult.Error(ApiResult.NotAcceptable, "revoked_subaccounts timestamp too far from current time");
        if (!Signatures.Verify(Signatures.Text("revoked_subaccounts", request.Timestamp), request.Account, request.Auth, Access.None, null))
            return ApiResult.Error(ApiResult.Unauthorized, "revoked_subaccounts signature verification failed");
        return Timed(new WireMap { ["revoked_subaccounts"] = core.Store.Revocations(request.Account).ConvertAll(t => (object)new WireBytes(t, BytesForm.Base64)) });
    }

    private async Task<ApiResult> OxendAsync(OxendRequest request, CancellationToken cancel)
    {
        if (request.Endpoint == "get_service_nodes") return Timed(new WireMap { ["result"] = SeedFacade.ServiceNodes(request.Params, core.View, settings) });
        if (ledger is null) return ApiResult.Error(ApiResult.BadRequest, "this node has no ledger to ask");
        LedgerAnswer answer = await ledger.AskAsync(request.Endpoint, System.Text.Encoding.UTF8.GetString(JsonWire.Write(request.Params)), cancel).ConfigureAwait(false);
        if (answer.IsError) return ApiResult.Error(ApiResult.BadRequest, answer.Text.Length > 0 ? answer.Text : "Unknown oxend error");
        return !JsonWire.TryRead(System.Text.Encoding.UTF8.GetBytes(answer.Text), out object? result) || result is null ? ApiResult.Error(ApiResult.BadGateway, "oxend returned unparsable data") : Timed(new WireMap { ["result"] = result });
    }

    private async Task<ApiResult> BatchAsync(BatchRequest batch, OnionLimits? limits, CancellationToken cancel)
    {
        var results = new List<ApiResult>();
        if (batch.Sequence)
        {
            foreach (SwarmRequest request in batch.Requests)
            {
                results.Add(await ExecuteAsync(request, limits, cancel).ConfigureAwait(false));
                if (!results[^1].IsSuccess) break;
            }
        }
        else
        {
            results.AddRange(await Task.WhenAll(batch.Requests.Select(r => ExecuteAsync(r, limits, cancel))).ConfigureAwait(false));
        }

        return Timed(new WireMap { ["results"] = results.ConvertAll(r => (object)Embed(r)) });
    }

    private static WireMap Embed(ApiResult result) => new() { ["body"] = result.Body is byte[] bytes ? new WireBytes(bytes, BytesForm.Base64) : result.Body, ["code"] = (long)result.Status };

    private async Task<ApiResult> IfElseAsync(IfElseRequest request, OnionLimits? limits, CancellationToken cancel)
    {
        long height = (long)core.View.Roster.Height;
        bool holds = (request.HardForkAtLeast is null || Compare(settings.HardFork, request.HardForkAtLeast) >= 0)
            && (request.HardForkBefore is null || Compare(settings.HardFork, request.HardForkBefore) < 0)
            && (request.VersionAtLeast is null || Compare(settings.Version, request.VersionAtLeast) >= 0)
            && (request.VersionBefore is null || Compare(settings.Version, request.VersionBefore) < 0)
            && (request.HeightAtLeast is null || height >= request.HeightAtLeast)
            && (request.HeightBefore is null || height < request.HeightBefore);
        var reply = new WireMap { ["condition"] = holds, ["height"] = height, ["v"] = settings.Version.Select(v => (object)v).ToList() };
        if ((holds ? request.Then : request.Else) is { } branch) reply["result"] = Embed(await ExecuteAsync(branch, limits, cancel).ConfigureAwait(false));
        return Timed(reply);
    }

    // Tuples; what a shorter one does not have is 0.
    private static int Compare(IReadOnlyList<long> left, IReadOnlyList<long> right)
    {
        for (int i = 0; i < Math.Max(left.Count, right.Count); i++)
        {
            int order = (i < left.Count ? left[i] : 0).CompareTo(i < right.Count ? right[i] : 0);
            if (order != 0) return order;
        }

        return 0;
    }
}
