using Oxen.Swarm.Nodes;
using Oxen.Swarm.Storage;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Api;

/// <summary>One node's answer to a write.</summary>
/// <param name="Status">200, or why nothing was done.</param>
/// <param name="Reason">Text of the error.</param>
/// <param name="Element">The node's own part of the reply to the client.</param>
/// <param name="Required">Above 0: the stamp was too old, and this one stands in the way.</param>
/// <param name="Touched">Records written.</param>
/// <param name="Votes">Whether this node counts for a quorum: it has caught up with its swarm.</param>
internal sealed record ReplicaAnswer(int Status, string Reason, WireMap? Element, long Required, IReadOnlyList<RecordEntry> Touched, bool Votes)
{
    /// <summary>On that node's disk.</summary>
    public bool IsDone => Status == ApiResult.Ok && Required == 0;

    public bool IsStale => Required > 0;

    public static ReplicaAnswer Error(int status, string reason) => new(status, reason, null, 0, [], false);
}

// What one node does with a write, whether it came from a client or from a node of the swarm: check the times and the
// signature itself, write, sign what was done. Nobody's word is taken for a client's wish.

/// <summary>Carries out writes at this node.</summary>
internal sealed class ReplicaService(SwarmIdentity identity, MessageStore store, SwarmClock clock, Func<bool> votes, Action<StoreRequest>? stored)
{
    public const long Tolerance = 60_000;

    /// <summary>Forwarded requests have been on their way for a while.</summary>
    public const long ForwardedTolerance = 70_000;

    private static readonly long MaxLifetime = (long)StoreLimits.MaxLifetime.TotalMilliseconds;

    /// <summary>Whether a token is revoked; a store that cannot be read refuses.</summary>
    public bool IsRevoked(AccountId account, byte[] token) => store.IsRevoked(account, token);

    /// <summary>Checks limits, times and signature; null if all is well.</summary>
    public ApiResult? Check(WriteRequest request, bool forwarded)
    {
        long now = clock.Now, tolerance = forwarded ? ForwardedTolerance : Tolerance;
        switch (request)
        {
            case StoreRequest store: return CheckStore(store, now, tolerance);
            case DeleteRequest delete: return CheckSignature(delete, Signatures.Text("delete", delete.Messages), Access.Delete, "delete_msgs");
            case DeleteAllRequest all:
                if (Math.Abs(now - all.Timestamp) > tolerance) return ApiResult.Error(ApiResult.NotAcceptable, "delete_all timestamp too far from current time");
                return CheckSignature(all, Signatures.Text("delete_all", Signatures.Space(all.Space), all.Timestamp), Access.Delete, "delete_all");
            case DeleteBeforeRequest before:
                if (before.Before > now + tolerance) return ApiResult.Error(ApiResult.Unauthorized, "delete_before timestamp too far in the future");
                return CheckSignature(before, Signatures.Text("delete_before", Signatures.Space(before.Space), before.Before), Access.Delete, "delete_before");
            case ExpireAllRequest all:
                if (all.Expiry < now - tolerance) return ApiResult.Error(ApiResult.NotAcceptable, "expire_all timestamp should be >= current time");
                return CheckSignature(all, Signatures.Text("expire_all", Signatures.Space(all.Space), all.Expiry), Access.Delete, "expire_all");
            case ExpireRequest expire:
                if (expire.Expiries.Any(e => e < now - tolerance)) return ApiResult.Error(ApiResult.Unauthorized, "expire: timestamp should be >= current time");
                if (CheckSignature(expire, Signatures.Text("expire", expire.Shorten ? "shorten" : expire.Extend ? "extend" : "", expire.Expiries, expire.Messages), Access.Write, "expire:") is { } refused) return refused;
                return expire.Shorten && !Signatures.May(expire.Auth, Access.Delete)
                    ? ApiResult.Error(ApiResult.BadRequest, "expire: shorten parameter cannot be used with this subaccount token (missing delete access)") : null;
            case RevokeRequest revoke:
                if (Math.Abs(now - revoke.Timestamp) > tolerance) return ApiResult.Error(ApiResult.NotAcceptable, $"{revoke.Method} timestamp too far from current time");
                return CheckSignature(revoke, Signatures.Text(revoke.Method, revoke.Timestamp, revoke.Tokens), Access.None, revoke.Method);
            default: throw new ArgumentException($"no write: {request.Method}", nameof(request));
        }
    }

    /// <summary>Writes and signs. The request has been checked.</summary>
    public async Task<ReplicaAnswer> ExecuteAsync(WriteRequest request, long stamp, long prior)
    {
        WriteOutcome outcome = await store.ApplyAsync(ToOp(request, stamp, prior), clock.Now).ConfigureAwait(false);
        switch (outcome.Status)
        {
            case WriteStatus.Stale: return new ReplicaAnswer(ApiResult.Ok, "", null, outcome.Required, [], votes());
            case WriteStatus.Full:
                var full = new WireMap { ["failed"] = true, ["query_failure"] = true };
                return new ReplicaAnswer(ApiResult.Failed, "storage is full", full, 0, [], false);
            case WriteStatus.Unavailable:
                var unavailable = new WireMap { ["failed"] = true, ["query_failure"] = true };
                return new ReplicaAnswer(ApiResult.Unavailable, "storage is unavailable", unavailable, 0, [], false);
            default: break;
        }

        if (outcome.Fresh && request is StoreRequest fresh) stored?.Invoke(fresh);
        return new ReplicaAnswer(ApiResult.Ok, "", ToElement(request, outcome, stamp), 0, outcome.Touched, votes());
    }

    private static WriteOp ToOp(WriteRequest request, long stamp, long prior) => request switch
    {
        StoreRequest r => new StoreOp(r.Account, stamp, prior, r.Key, r.Space, r.Timestamp, r.Expiry, r.Data),
        DeleteRequest r => new DeleteOp(r.Account, stamp, prior, r.Messages),
        DeleteAllRequest r => new DeleteRangeOp(r.Account, stamp, prior, r.Space, null),
        DeleteBeforeRequest r => new DeleteRangeOp(r.Account, stamp, prior, r.Space, r.Before),
        ExpireAllRequest r => new ExpireAllOp(r.Account, stamp, prior, r.Space, r.Expiry),
        ExpireRequest r => new ExpireOp(r.Account, stamp, prior, r.Messages, Capped(r, stamp), Mode(r)),
        RevokeRequest r => new RevokeOp(r.Account, stamp, prior, r.Tokens, r.Timestamp, r.Revoke),
        _ => throw new ArgumentException($"no write: {request.Method}", nameof(request)),
    };

    // Thirty days from now at most, silently. "Now" is the stamp's time, so that all nodes cut alike.
    private static long[] Capped(ExpireRequest request, long stamp) => [.. request.Expiries.Select(e => Math.Min(e, (stamp >> 16) + MaxLifetime))];

    // A subaccount that may not delete cannot end a message's life early: it only extends.
    private static ExpireMode Mode(ExpireRequest request) =>
        request.Shorten ? ExpireMode.Shorten : request.Extend || !Signatures.May(request.Auth, Access.Delete) ? ExpireMode.Extend : ExpireMode.Set;

    private ApiResult? CheckStore(StoreRequest request, long now, long tolerance)
    {
        switch (StoreLimits.Check(request.Data.Length, request.Space, request.Timestamp, request.Expiry, now))
        {
            case StoreFault.Lifetime: return ApiResult.Error(ApiResult.Forbidden, "Provided expiry/TTL is not valid.");
            case StoreFault.Clock: return ApiResult.Error(ApiResult.NotAcceptable, "Timestamp error: check your clock");
            default: break;
        }

        if (!NamespaceRules.StoreNeedsSignature(request.Space)) return null;
        if (request.Auth.Signature is null) return ApiResult.Error(ApiResult.Unauthorized, $"store: signature required to store to namespace {request.Space}");
        if (Math.Abs(now - request.SignatureTimestamp) > tolerance) return ApiResult.Error(ApiResult.NotAcceptable, "store signature timestamp too far from current time");
        Access needed = NamespaceRules.IsPublicOutbox(request.Space) ? Access.Write | Access.Delete : Access.Write;
        return CheckSignature(request, Signatures.Text("store", Signatures.Space(request.Space), request.SignatureTimestamp), needed, "store");
    }

    private ApiResult? CheckSignature(WriteRequest request, byte[] text, Access needed, string name) =>
        Signatures.Verify(text, request.Account, request.Auth, needed, IsRevoked) ? null : ApiResult.Error(ApiResult.Unauthorized, $"{name} signature verification failed");

    // What the reply says about this node, signed with its key so that a client can hold it against us.
    private WireMap ToElement(WriteRequest request, WriteOutcome outcome, long stamp)
    {
        string account = request.Account.ToHex();
        MessageKey[] sorted = Sorted(outcome.Affected.Select(a => a.Key));
        var element = new WireMap();
        switch (request)
        {
            case StoreRequest store:
                element["hash"] = store.Key.ToString();
                element["expiry"] = outcome.Expiry;
                if (outcome.Already) element["already"] = true;
                Sign(element, Signatures.Text(store.Key.ToString()));
                break;
            case DeleteRequest delete:
                element["deleted"] = Keys.ToTexts(sorted);
                Sign(element, Signatures.Text(account, delete.Messages, sorted));
                break;
            case DeleteAllRequest all:
                element["deleted"] = Grouped(outcome, all.Space);
                Sign(element, Signatures.Text(account, all.Timestamp, sorted));
                break;
            case DeleteBeforeRequest before:
                element["deleted"] = Grouped(outcome, before.Space);
                Sign(element, Signatures.Text(account, before.Before, sorted));
                break;
            case ExpireAllRequest all:
                element["updated"] = Grouped(outcome, all.Space);
                Sign(element, Signatures.Text(account, all.Expiry, sorted));
                break;
            case ExpireRequest expire: Fill(element, expire, outcome, sorted, account, stamp); break;
            case RevokeRequest revoke:
                element["count"] = (long)outcome.Count;
                Sign(element, Signatures.Text(account, revoke.Timestamp, revoke.Tokens));
                break;
            default: break;
        }

        return element;
    }

    private void Fill(WireMap element, ExpireRequest request, WriteOutcome outcome, MessageKey[] sorted, string account, long stamp)
    {
        Dictionary<MessageKey, long> applied = outcome.Affected.Select((a, i) => (a.Key, outcome.Applied[i])).ToDictionary(p => p.Key, p => p.Item2);
        element["updated"] = Keys.ToTexts(sorted);
        long[] expiries = request.Expiries.Count == 1 ? [Capped(request, stamp)[0]] : [.. sorted.Select(k => applied[k])];
        element["expiry"] = request.Expiries.Count == 1 ? expiries[0] : expiries.Cast<object>().ToList();
        (MessageKey Key, long Expiry)[] unchanged = [.. outcome.Unchanged.OrderBy(u => u.Key.ToString(), StringComparer.Ordinal)];
        if (Mode(request) != ExpireMode.Set)
        {
            var map = new WireMap();
            foreach ((MessageKey key, long expiry) in unchanged) map[key.ToString()] = expiry;
            element["unchanged"] = map;
        }

        var text = new List<object> { account, expiries, request.Messages, sorted };
        foreach ((MessageKey key, long expiry) in Mode(request) == ExpireMode.Set ? [] : unchanged) text.AddRange([key.ToString(), expiry]);
        Sign(element, Signatures.Text([.. text]));
    }

    private void Sign(WireMap element, byte[] text) => element["signature"] = new WireBytes(identity.Sign(text), BytesForm.Base64);

    private static object Grouped(WriteOutcome outcome, short? space)
    {
        if (space is not null) return Keys.ToTexts(Sorted(outcome.Affected.Select(a => a.Key)));
        var map = new WireMap();
        foreach (IGrouping<short, (short Space, MessageKey Key)> group in outcome.Affected.GroupBy(a => a.Space))
            map[group.Key.ToString(System.Globalization.CultureInfo.InvariantCulture)] = Keys.ToTexts(Sorted(group.Select(g => g.Key)));
        return map;
    }

    private static MessageKey[] Sorted(IEnumerable<MessageKey> keys) => [.. keys.OrderBy(k => k.ToString(), StringComparer.Ordinal)];
}
