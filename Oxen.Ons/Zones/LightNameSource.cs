using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Router.Handlers;

namespace Oxen.Ons.Zones;

/// <summary>Where a light client's answers come from: one resolver that nobody has to trust.</summary>
internal interface IProofSource
{
    /// <summary>The bytes of a <see cref="ProvenAnswer"/> about a key. Throws what the transport throws.</summary>
    Task<byte[]> AskAsync(Bytes32 key, CancellationToken cancel);

    /// <summary>Steps from a height and committee forward.</summary>
    Task<IReadOnlyList<HandOver>> WayAsync(ulong height, Committee committee, CancellationToken cancel);
}

/// <summary>
/// Looks names up at one untrusted resolver: every answer, "there is none" too, is proven under a committee's quorum, or it is no answer.
/// </summary>
internal sealed class LightNameSource(LightClient client, IProofSource source, TimeProvider time, TimeSpan maxAge) : INameSource, IDisposable
{
    private const int MostWays = 64;
    private static readonly TimeSpan KeptFor = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan UnknownFor = TimeSpan.FromSeconds(10);

    private readonly SemaphoreSlim _gate = new(1, 1);

    public async ValueTask<NameAnswer> ResolveAsync(string name, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(name);
        string full = NameRules.Fold(name[(name.LastIndexOf('.') + 1)..]) + ".loki";
        if (NameRules.Check(full, NameType.Lokinet) != NameFault.None) return new NameAnswer(NameOutcome.NotFound, default, KeptFor, "this is no name that anybody could register");
        ZoneIndex index = ZoneIndex.Of(full, NameType.Lokinet, client.Network);
        await _gate.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            (ProofFault fault, ZoneEntry? zone, BlockHeader? header) = await CheckAsync(ZoneEntry.Key(index.Index), a => (client.CheckZone(a, index.Index, out ZoneEntry? z, out BlockHeader? h), z, h), cancel).ConfigureAwait(false);
            if (fault != ProofFault.None) return Unknown($"the resolver's answer is not to be believed: {fault}");
            if (TooOld(header!) is { } old) return old;
            if (zone is not null)
            {
                ContentFault content = ZoneContent.Open(zone, index, client.Network, header!.Height, out ZoneContent? read);
                if (read is null) return new NameAnswer(NameOutcome.NotFound, default, KeptFor, $"the zone's value is not to be believed: {content}");
                return read.Find(ZoneRecordKind.Address) is { } address ? new NameAnswer(NameOutcome.Found, address.Data, KeptFor) : new NameAnswer(NameOutcome.NotFound, default, KeptFor, "the zone has no address");
            }

            var hash = NameHash.Of(full);
            (ProofFault second, NameEntry? entry, BlockHeader? at) = await CheckAsync(NameEntry.Key(NameType.Lokinet, hash), a => (client.CheckName(a, NameType.Lokinet, hash, out NameEntry? n, out BlockHeader? h), n, h), cancel).ConfigureAwait(false);
            if (second != ProofFault.None) return Unknown($"the resolver's answer is not to be believed: {second}");
            if (TooOld(at!) is { } late) return late;
            return entry is null ? new NameAnswer(NameOutcome.NotFound, default, KeptFor) : LedgerNameSource.OfName(entry, full);
        }
        catch (Exception e) when (e is IOException or HttpRequestException or Rpc.OxendException || (e is OperationCanceledException && !cancel.IsCancellationRequested))
        {
            return Unknown($"the resolver was not reached: {e.Message}");
        }
        finally
        {
            _gate.Release();
        }
    }

    public void Dispose() => _gate.Dispose();

    private static NameAnswer Unknown(string reason) => new(NameOutcome.Unavailable, default, UnknownFor, reason);

    // A resolver that shows an old block for ever hides what came after.
    private NameAnswer? TooOld(BlockHeader header)
    {
        TimeSpan age = time.GetUtcNow() - DateTimeOffset.FromUnixTimeMilliseconds((long)Math.Min(header.UnixMilliseconds, 253_402_300_799_999));
        return age > maxAge ? Unknown($"the resolver's newest signed block is {age.TotalMinutes:F0} minutes old") : null;
    }

    // If the committee is a newer one, the way there first.
    private async Task<(ProofFault Fault, T? Entry, BlockHeader? Header)> CheckAsync<T>(Bytes32 key, Func<byte[], (ProofFault, T?, BlockHeader?)> check, CancellationToken cancel)
    {
        (ProofFault Fault, T? Entry, BlockHeader? Header) found = check(await source.AskAsync(key, cancel).ConfigureAwait(false));
        for (int i = 0; i < MostWays && found.Fault == ProofFault.UnknownCommittee; i++)
        {
            ulong before = client.Height;
            foreach (HandOver step in await source.WayAsync(client.Height, client.Committee, cancel).ConfigureAwait(false))
            {
                if (client.Follow(step) != ProofFault.None) break;
            }

            if (client.Height == before) break;
            found = check(await source.AskAsync(key, cancel).ConfigureAwait(false));
        }

        return found;
    }
}
