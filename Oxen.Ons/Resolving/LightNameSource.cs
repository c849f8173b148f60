using System.Globalization;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Zones;
using Oxen.Router.Handlers;

namespace Oxen.Ons.Resolving;

/// <summary>What a light source may bear.</summary>
internal sealed record LightNameOptions
{
    /// <summary>A resolver whose newest signed block is older hides what came after.</summary>
    public TimeSpan MaxAge { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>So long a resolver that was refused is asked after the others.</summary>
    public TimeSpan Grudge { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long one resolver may take.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(10);
}

// One question asks for the zone and the compatible name of that name together. An answer is believed if the light client believes it;
// else it is refused, the resolver remembered for a while, and the next one asked. So a liar (forged, stale, absent although
// present) and a silent one cost time and nothing else, as long as one resolver is honest.

/// <summary>Looks names up at untrusted resolvers: every answer, "there is none" too, is proven under a committee's quorum, or it is no answer.</summary>
internal sealed class LightNameSource(LightClient client, IReadOnlyList<IProofSource> resolvers, LightNameOptions options, TimeProvider time) : INameSource
{
    private const int MostWays = 64, MostNewest = 4096;
    private static readonly TimeSpan KeptFor = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan UnknownFor = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new(); // the light client is for one thread at a time; nobody waits for a network inside
    private readonly ZoneIndexes _indexes = new(client.Network);
    private readonly DateTimeOffset[] _refusedUntil = new DateTimeOffset[resolvers.Count];
    private readonly Dictionary<Bytes32, ulong> _newest = []; // the newest record seen of each name below a zone
    private long _refusals;

    /// <summary>Answers that were not believed, and resolvers that gave none.</summary>
    public long Refusals => Interlocked.Read(ref _refusals);

    public async ValueTask<NameAnswer> ResolveAsync(string name, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(name);
        int dot = name.LastIndexOf('.');
        string full = NameRules.Fold(name[(dot + 1)..]) + ".loki", below = dot < 0 ? "" : NameRules.Fold(name[..dot]);
        if (NameRules.Check(full, NameType.Lokinet) != NameFault.None) return new NameAnswer(NameOutcome.NotFound, default, KeptFor, "this is no name that anybody could register");
        ZoneIndex index = _indexes.Of(full);
        var words = new List<string>();
        foreach (int i in InOrder())
        {
            (NameAnswer? answer, Bytes32? delegated, string refusal) = await AskAsync(resolvers[i], full, below, index, cancel).ConfigureAwait(false);
            if (answer is not null) return answer;
            if (delegated is not null) return await BelowAsync(below, index.Index, delegated.Value, cancel).ConfigureAwait(false);
            Interlocked.Increment(ref _refusals);
            lock (_gate) _refusedUntil[i] = time.GetUtcNow() + options.Grudge;
            words.Add(refusal);
        }

        return new NameAnswer(NameOutcome.Unavailable, default, UnknownFor, words.Count == 0 ? "no resolver is configured" : string.Join("; ", words));
    }

    // Those without a grudge first, each group in its order.
    private int[] InOrder()
    {
        DateTimeOffset now = time.GetUtcNow();
        lock (_gate) return [.. Enumerable.Range(0, resolvers.Count).OrderBy(i => _refusedUntil[i] > now)];
    }

    private async Task<(NameAnswer? Answer, Bytes32? Delegated, string Refusal)> AskAsync(IProofSource resolver, string full, string below, ZoneIndex index, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(options.Patience, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
        try
        {
            return await BelieveAsync(resolver, full, below, index, both.Token).ConfigureAwait(false);
        }
        catch (ProofSourceException e)
        {
            return (null, null, e.Message);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return (null, null, $"{resolver.Name} did not answer within {options.Patience.TotalSeconds:F0} s");
        }
    }

    private async Task<(NameAnswer? Answer, Bytes32? Delegated, string Refusal)> BelieveAsync(IProofSource resolver, string full, string below, ZoneIndex index, CancellationToken cancel)
    {
        Bytes32[] keys = [ZoneEntry.Key(index.Index), NameEntry.Key(NameType.Lokinet, NameHash.Of(full))];
        ProofFault fault = ProofFault.Malformed;
        bool asked = false;
        for (int round = 0; round < MostWays; round++)
        {
            IReadOnlyList<byte[]> answers = await resolver.AskAsync(keys, cancel).ConfigureAwait(false);
            if (answers.Count != 2) break;
            Found found;
            lock (_gate) found = Check(answers, full, below, index);
            fault = found.Fault;
            if (fault == ProofFault.None) return TooOld(resolver, found.Header!) is { } old ? (null, null, old) : (found.Answer, found.Delegated, "");

            // Another resolver may have shown a newer block while this answer was under way: it gets a second chance.
            if (fault == ProofFault.Stale && !asked)
            {
                asked = true;
                continue;
            }

            if (fault != ProofFault.UnknownCommittee || !await FollowAsync(resolver, cancel).ConfigureAwait(false)) break;
        }

        return (null, null, $"{resolver.Name} is not to be believed: {Words(fault)}");
    }

    private readonly record struct Found(ProofFault Fault, BlockHeader? Header, NameAnswer? Answer, Bytes32? Delegated = null);

    private Found Check(IReadOnlyList<byte[]> answers, string full, string below, ZoneIndex index)
    {
        ProofFault fault = client.CheckZone(answers[0], index.Index, out ZoneEntry? zone, out BlockHeader? header);
        if (fault != ProofFault.None) return new Found(fault, null, null);
        fault = client.CheckName(answers[1], NameType.Lokinet, NameHash.Of(full), out NameEntry? entry, out BlockHeader? second);
        if (fault != ProofFault.None) return new Found(fault, null, null);

        // By two blocks a name could be shown as it never was: the zone before it was bought, the other after it had gone.
        if (second!.Height != header!.Height) return new Found(ProofFault.Stale, null, null);
        (NameAnswer? answer, Bytes32? delegated) = OfEntries(zone, entry, index, header, full, below);
        return new Found(ProofFault.None, header, answer, delegated);
    }

    // An answer, or the key that signs what is below the zone.
    private (NameAnswer? Answer, Bytes32? Delegated) OfEntries(ZoneEntry? zone, NameEntry? entry, ZoneIndex index, BlockHeader header, string full, string below)
    {
        if (zone is not null)
        {
            ContentFault content = ZoneContent.Open(zone, index, client.Network, header.Height, out ZoneContent? read);
            if (read is null) return (new NameAnswer(NameOutcome.NotFound, default, KeptFor, $"the zone's value is not to be believed: {content}"), null);
            if (below.Length > 0 && read.Find(ZoneRecordKind.Delegation) is { } delegation) return (null, new Bytes32(delegation.Data));
            return (LedgerNameSource.Address(read.Records), null);
        }

        return (entry is null ? new NameAnswer(NameOutcome.NotFound, default, KeptFor) : LedgerNameSource.OfName(entry, full), null);
    }

    // The key is proven, the record is signed by it, and that it is there is not: that there is none is believed when nobody has one,
    // and of several the newest counts. So all are asked, and who is silent or lies can only withhold.
    private async Task<NameAnswer> BelowAsync(string label, Bytes32 zone, Bytes32 delegation, CancellationToken cancel)
    {
        if (!Subname.IsLabel(label)) return new NameAnswer(NameOutcome.NotFound, default, KeptFor, "the zone's names have one label");
        Bytes32 lookup = Subname.LookupOf(label, delegation);
        (bool Asked, byte[]? Record, string Words)[] given = await Task.WhenAll(InOrder().Select(i => AskBelowAsync(resolvers[i], zone, lookup, cancel))).ConfigureAwait(false);
        IReadOnlyList<ZoneRecord>? best = null;
        ulong least = 0, until = 0;
        lock (_gate) _newest.TryGetValue(lookup, out least);
        var words = new List<string>();
        bool anybody = false;
        foreach ((bool asked, byte[]? record, string why) in given)
        {
            if (why.Length > 0) words.Add(why);
            anybody |= asked && record is null;
            if (record is null) continue;
            ContentFault fault = Subname.Open(record, label, delegation, least, (ulong)time.GetUtcNow().ToUnixTimeSeconds(), out IReadOnlyList<ZoneRecord> records, out ulong sequence);
            if (fault == ContentFault.None)
            {
                (best, least, until) = (records, sequence, Subname.ReadHead(record, delegation)!.LastUnixSecond);
                continue;
            }

            Interlocked.Increment(ref _refusals);
            words.Add($"what one gave for the name is not to be believed: {fault}");
        }

        if (best is not null)
        {
            lock (_gate)
            {
                if (_newest.Count >= MostNewest) _newest.Clear();
                _newest[lookup] = Math.Max(least, _newest.GetValueOrDefault(lookup));
            }

            // Not longer than the record itself says.
            TimeSpan left = TimeSpan.FromSeconds(Math.Min(KeptFor.TotalSeconds, until - (double)time.GetUtcNow().ToUnixTimeSeconds()));
            NameAnswer found = LedgerNameSource.Address(best);
            return new NameAnswer(found.Outcome, found.Address, left > TimeSpan.Zero ? left : TimeSpan.Zero, found.Reason);
        }

        return anybody ? new NameAnswer(NameOutcome.NotFound, default, UnknownFor, "nobody who was asked has a record of this name") : new NameAnswer(NameOutcome.Unavailable, default, UnknownFor, string.Join("; ", words));
    }

    private async Task<(bool Asked, byte[]? Record, string Words)> AskBelowAsync(IProofSource resolver, Bytes32 zone, Bytes32 lookup, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(options.Patience, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
        try
        {
            return (true, await resolver.SubnameAsync(zone, lookup, both.Token).ConfigureAwait(false), "");
        }
        catch (ProofSourceException e)
        {
            return (false, null, e.Message);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return (false, null, $"{resolver.Name} did not answer within {options.Patience.TotalSeconds:F0} s");
        }
    }

    // If the committee is a newer one, the way there first. False: no step further.
    private async Task<bool> FollowAsync(IProofSource resolver, CancellationToken cancel)
    {
        ulong height;
        Committee committee;
        lock (_gate) (height, committee) = (client.Height, client.Committee);
        IReadOnlyList<HandOver> way = await resolver.WayAsync(height, committee, cancel).ConfigureAwait(false);
        lock (_gate)
        {
            foreach (HandOver step in way)
            {
                if (step.Header.Height > client.Height && client.Follow(step) != ProofFault.None) break;
            }

            return client.Height > height;
        }
    }

    private string? TooOld(IProofSource resolver, BlockHeader header)
    {
        TimeSpan age = time.GetUtcNow() - DateTimeOffset.FromUnixTimeMilliseconds((long)Math.Min(header.UnixMilliseconds, 253_402_300_799_999));
        return age > options.MaxAge ? string.Create(CultureInfo.InvariantCulture, $"{resolver.Name} shows a block that is {age.TotalMinutes:F0} minutes old, {options.MaxAge.TotalMinutes:F0} are the most") : null;
    }

    private static string Words(ProofFault fault) => fault switch
    {
        ProofFault.Malformed => "its answer is garbled",
        ProofFault.Stale => "its answer is older than what is known already",
        ProofFault.UnknownCommittee => "a committee that nobody handed over to signed its answer",
        ProofFault.NoQuorum => "too few of the committee signed its answer",
        ProofFault.BadProof => "its proof does not lead to the signed root",
        _ => "it answered about something else",
    };
}
