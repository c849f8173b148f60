using System.Globalization;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Core.Sessions;

// Probes tell whether an exit's router lives. This tells whether it is of use: an exit whose own line is down, whose resolver
// is dead or who is overloaded answers every probe and connects to nothing. What counts is what it answered to streams:
//
//   dead   its last 4 connections or more, to 3 hosts or more, were not made, and none was in between. One host that is down
//          says nothing of the exit, nor does a "connection refused": somebody was reached
//   slow   the typical of its last 8 connections took longer than half a second and four times as long as at the best of
//          the other exits that we used in the last hour; without any other, longer than 3 s
//
// A slow exit is left when nothing is open that would break. So is a dead one, or after half a minute in which nothing got
// through. A minute passes between two such decisions: where all exits are alike, the trouble is not the exit's.
//
/// <summary>Judges exits by how connections through them fare. Of one client, on its session thread; bounded.</summary>
/// <typeparam name="T">Names an exit: a router's id, or a hidden service's address.</typeparam>
internal sealed class ExitJudge<T>
    where T : struct, IEquatable<T>
{
    private const int MaxExits = 256;
    private const int LeastFailed = 4, LeastHosts = 3;
    private const int LeastTimed = 8, LeastCompared = 4;
    private const double SlowerThanOthers = 4;
    private static readonly TimeSpan Slow = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan SlowAlone = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Rest = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Remembers = TimeSpan.FromHours(1);

    private sealed class Record
    {
        public readonly long[] Ticks = new long[LeastTimed];
        public readonly HashSet<int> Hosts = [];
        public int Timed;
        public int Failed;
        public Instant FirstFailed;
        public Instant LastTimed;

        public TimeSpan Typical
        {
            get
            {
                Span<long> sorted = stackalloc long[LeastTimed];
                int count = Math.Min(Timed, LeastTimed);
                Ticks.AsSpan(0, count).CopyTo(sorted);
                sorted[..count].Sort();
                return new TimeSpan(sorted[count / 2]);
            }
        }

        public void Forgive()
        {
            Failed = 0;
            Hosts.Clear();
        }
    }

    private readonly Dictionary<T, Record> _records = [];
    private Instant _restsUntil = new(long.MinValue / 2);

    /// <summary>The exit connected to a host.</summary>
    /// <param name="took">From the question to the answer.</param>
    public void OnConnected(T exit, TimeSpan took, Instant now)
    {
        Record record = Of(exit);
        record.Forgive();
        record.Ticks[record.Timed++ % LeastTimed] = Math.Max(0, took.Ticks);
        if (record.Timed == 2 * LeastTimed) record.Timed = LeastTimed; // the place goes round; all are measured, whatever the count
        record.LastTimed = now;
    }

    /// <summary>The exit reached somebody who did not want the connection.</summary>
    public void OnRefused(T exit)
    {
        if (_records.TryGetValue(exit, out Record? record)) record.Forgive();
    }

    /// <summary>The exit reached nobody, or did not answer.</summary>
    /// <param name="host">Some number of the host, the same for the same.</param>
    public void OnNotReached(T exit, int host, Instant now)
    {
        Record record = Of(exit);
        if (record.Failed++ == 0) record.FirstFailed = now;
        if (record.Hosts.Count < LeastHosts) record.Hosts.Add(host);
    }

    /// <summary>What the exit answered to a stream. False: it says nothing of the exit, or only of its policy.</summary>
    public bool TakesNote(T exit, int host, ProxyStatus status, TimeSpan took, Instant now)
    {
        switch (status)
        {
            case ProxyStatus.Connected:
                OnConnected(exit, took, now);
                return true;
            case ProxyStatus.ConnectionRefused:
                OnRefused(exit);
                return true;
            case ProxyStatus.NameNotResolved or ProxyStatus.NetworkUnreachable or ProxyStatus.HostUnreachable or ProxyStatus.TimedOut or ProxyStatus.Limit or ProxyStatus.Failed:
                OnNotReached(exit, host, now);
                return true;
            default:
                return false; // its policy, which it may have
        }
    }

    /// <summary>Whether to leave this exit for another now.</summary>
    /// <param name="idle">Nothing is open through it.</param>
    /// <param name="reason">In words for the user.</param>
    public bool TryCondemn(T exit, bool idle, Instant now, out string reason)
    {
        reason = "";
        if (now < _restsUntil || !_records.TryGetValue(exit, out Record? record)) return false;
        if (record.Failed >= LeastFailed && record.Hosts.Count >= LeastHosts && (idle || now - record.FirstFailed >= Patience))
        {
            reason = string.Create(CultureInfo.InvariantCulture, $"the exit answers but reaches nobody: its last {record.Failed} connections, to different hosts, were not made");
            record.Forgive();
            record.Timed = 0;
        }
        else if (idle && record.Timed >= LeastTimed && record.Typical is var typical && typical > Slow)
        {
            TimeSpan? others = BestOfOthers(exit, now);
            if (others is { } other ? typical <= SlowerThanOthers * other : typical <= SlowAlone) return false;
            reason = string.Create(CultureInfo.InvariantCulture, $"the exit is slow: a connection through it takes {typical.TotalSeconds:F1} s{(others is { } best ? string.Create(CultureInfo.InvariantCulture, $", through another one {best.TotalSeconds:F1} s") : "")}");
        }
        else
        {
            return false;
        }

        _restsUntil = now + Rest;
        return true;
    }

    private TimeSpan? BestOfOthers(T exit, Instant now)
    {
        TimeSpan? best = null;
        foreach ((T id, Record record) in _records)
        {
            if (id.Equals(exit) || record.Timed < LeastCompared || now - record.LastTimed > Remembers) continue;
            if (best is null || record.Typical < best) best = record.Typical;
        }

        return best;
    }

    private Record Of(T exit)
    {
        if (_records.TryGetValue(exit, out Record? known)) return known;
        if (_records.Count >= MaxExits) _records.Clear();
        known = new Record();
        _records.Add(exit, known);
        return known;
    }
}
