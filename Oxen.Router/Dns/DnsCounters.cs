using System.Text;

namespace Oxen.Router.Dns;

/// <summary>What the resolver counts: what it answered, and why it refused or dropped. The name of a figure is the member in snake case.</summary>
internal enum DnsCount
{
    /// <summary>Questions that passed the door.</summary>
    Queries,
    AnsweredLocally,
    AnsweredFromCache,

    /// <summary>Questions that went to the exit's resolver or the upstream.</summary>
    Forwarded,

    /// <summary>Questions that waited for the same question's answer.</summary>
    Joined,

    /// <summary>Answers that did not fit and said "ask by TCP".</summary>
    Truncated,

    /// <summary>Answers, and runts: nothing was sent.</summary>
    NotAQuery,
    Malformed,
    UnknownOperation,
    UnknownEdnsVersion,

    /// <summary>A class other than IN.</summary>
    RefusedClass,

    /// <summary>Zone transfers and their kin.</summary>
    RefusedType,

    /// <summary>Nothing is forwarded by this configuration.</summary>
    RefusedNotConfigured,

    /// <summary>A question for others without "recursion desired": it would look into the cache.</summary>
    RefusedNoRecursion,

    /// <summary>A special name that must not leave the machine.</summary>
    KeptLocal,

    /// <summary>The sender is in none of the networks that may ask.</summary>
    ForeignClient,

    /// <summary>As many questions as allowed are being worked on.</summary>
    Busy,

    /// <summary>All mapped addresses are in use.</summary>
    MapFull,

    /// <summary>The source of names could not tell.</summary>
    NameUnavailable,

    /// <summary>The upstream gave no answer in time, or could not be reached.</summary>
    UpstreamFailed,

    /// <summary>An answer with another id or question than the one asked: ignored.</summary>
    UpstreamMismatch,

    /// <summary>An answer that is no message.</summary>
    UpstreamMalformed,

    /// <summary>An answer of the outside with an address of the mapped range: a page could speak to a hidden service by it.</summary>
    RebindBlocked,

    TcpLimit,
    TcpIdle,

    /// <summary>A TCP client that sent a length no question has.</summary>
    TcpFraming,

    /// <summary>Connections to mapped addresses that their service took.</summary>
    Connected,

    /// <summary>The service was not found, did not answer, or does not serve the port: the connection was reset.</summary>
    ServiceNotReached,

    /// <summary>A connection to an address that stands for nothing: reset.</summary>
    NothingMapped,

    /// <summary>A connection to a router's address: reset, routers take none.</summary>
    NoConnections,

    /// <summary>As many connections or flows as allowed are open: reset, or dropped.</summary>
    ConnectionLimit,

    /// <summary>The machine gave no socket for a flow of datagrams: dropped.</summary>
    FlowRefused,

    /// <summary>The answer could not be sent.</summary>
    SendFailed,

    /// <summary>Something of ours threw: the question was answered with SERVFAIL.</summary>
    InternalError,
}

/// <summary>Counts from many threads.</summary>
internal sealed class DnsCounters
{
    private static readonly string[] Names = [.. Enum.GetNames<DnsCount>().Select(SnakeCase)];

    private readonly long[] _counts = new long[Names.Length];

    public void Add(DnsCount what) => Interlocked.Increment(ref _counts[(int)what]);

    public long this[DnsCount what] => Volatile.Read(ref _counts[(int)what]);

    public static string NameOf(DnsCount what) => Names[(int)what];

    /// <summary>Adds the non-zero counts to `sum`, by name.</summary>
    public void AddTo(IDictionary<string, long> sum)
    {
        ArgumentNullException.ThrowIfNull(sum);
        for (int i = 0; i < _counts.Length; i++)
        {
            long count = this[(DnsCount)i];
            if (count == 0) continue;
            sum.TryGetValue(Names[i], out long before);
            sum[Names[i]] = before + count;
        }
    }

    private static string SnakeCase(string name)
    {
        var text = new StringBuilder();
        foreach (char c in name)
        {
            if (char.IsUpper(c) && text.Length > 0) text.Append('_');
            text.Append(char.ToLowerInvariant(c));
        }

        return text.ToString();
    }
}
