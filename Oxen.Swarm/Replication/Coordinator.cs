using Oxen.Swarm.Api;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Peers;
using Oxen.Swarm.Storage;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Replication;

/// <summary>How a write ended in the swarm.</summary>
/// <param name="Status">200; 500 if nobody did it; 503 if too few did.</param>
/// <param name="Swarm">Each member's part, by its id in hexadecimal.</param>
/// <param name="Own">This node's answer.</param>
internal sealed record CoordinatedWrite(int Status, WireMap Swarm, ReplicaAnswer? Own);

// A client's write, from the node that received it to the whole swarm:
//
//   1 stamp     the next of the logical clock
//   2 ask       this node and every peer at once; silent peers are not asked, their hint is written instead
//   3 decide    QuorumCall: acknowledge, refuse, or retry with a later stamp
//   4 even out  what only part of the quorum had (a message that one node alone knew is deleted): tell the others first, so
//               that the result is on a quorum of disks and not only "asked of" a quorum
//   5 answer    and afterwards write hints for those that did not answer

/// <summary>Coordinates writes of clients. Any thread.</summary>
internal sealed class Coordinator(NodeCore core, ReplicaService replica)
{
    private const int MaxAttempts = 5;

    /// <summary>Carries a checked request out in the swarm.</summary>
    public async Task<CoordinatedWrite> WriteAsync(WriteRequest request)
    {
        long prior = 0;
        for (int attempt = 0; ; attempt++)
        {
            long stamp = core.Stamps.Next();
            var round = new Round(core, request, stamp, prior);
            QuorumDecision decision = await round.RunAsync(replica).ConfigureAwait(false);
            if (decision == QuorumDecision.Retry && attempt < MaxAttempts && core.Stamps.Observe(round.Required))
            {
                core.Counters.CountRetry();
                prior = stamp;
                continue;
            }

            bool kept = decision == QuorumDecision.Acknowledge && await round.EvenOutAsync(core.Times.Answer).ConfigureAwait(false);
            if (!kept)
            {
                core.Counters.CountRefused();
                await round.OwnDoneAsync().ConfigureAwait(false); // the reply shows what this node did
            }

            _ = round.HintAsync();
            WireMap swarm = round.ToSwarm();
            int status = kept ? ApiResult.Ok : round.AnyDone ? ApiResult.Unavailable : ApiResult.Failed;
            return new CoordinatedWrite(status, swarm, round.Own);
        }
    }

    // One attempt with one stamp. Member 0 is this node.
    private sealed class Round
    {
        private readonly NodeCore _core;
        private readonly WriteRequest _request;
        private readonly long _stamp, _prior;
        private readonly SwarmMember[] _peers;
        private readonly PeerLink?[] _links;
        private readonly ReplicaAnswer?[] _answers;
        private readonly bool[] _garbled;
        private readonly TaskCompletionSource _heard = new(TaskCreationOptions.RunContinuationsAsynchronously); // of every peer, or that it says nothing
        private int _open;
        private Task _own = Task.CompletedTask;
        private readonly QuorumCall _call;
        private readonly Lock _lock = new();
        private readonly TaskCompletionSource<QuorumDecision> _decided = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly int _quorum;
        private ITimer? _timer;
        private long _armed = -1;

        public Round(NodeCore core, WriteRequest request, long stamp, long prior)
        {
            _core = core;
            _request = request;
            _stamp = stamp;
            _prior = prior;
            SwarmView view = core.View;
            _peers = view.Peers;
            _links = [.. _peers.Select(p => core.LinkTo(p.Hex))];
            _answers = new ReplicaAnswer?[_peers.Length + 1];
            _garbled = new bool[_peers.Length + 1];
            _quorum = view.Quorum;
            bool[] expected = [true, .. _links.Select(l => l is { IsSilent: false })];
            _call = new QuorumCall(expected, _quorum, Now, (long)core.Times.Grace.TotalMilliseconds, (long)core.Times.Patience.TotalMilliseconds);
        }

        public long Required => _call.Required;

        public ReplicaAnswer? Own => _answers[0];

        public bool AnyDone => Array.Exists(_answers, a => a is { IsDone: true });

        private long Now => _core.Clock.Provider.GetTimestamp() * 1000 / _core.Clock.Provider.TimestampFrequency;

        public async Task<QuorumDecision> RunAsync(ReplicaService replica)
        {
            var message = new EncodedBt(_peers.Length == 0 ? [] : BtEncoding.Write(PeerMessages.Op(_request, _stamp, _prior))); // once for all peers
            long weight = message.Bytes.Length;
            _open = _peers.Length;
            if (_open == 0) _heard.SetResult();
            for (int i = 0; i < _peers.Length; i++)
            {
                int member = i + 1;
                if (_links[i] is { } link) link.Send(message, weight, reply => Heard(member, reply));
                else Heard(member, null);
            }

            _own = OwnAsync(replica);
            using ITimer timer = _core.Clock.Provider.CreateTimer(static round => ((Round)round!).Tick(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            lock (_lock)
            {
                _timer = timer;
                Publish();
            }

            QuorumDecision decision = await _decided.Task.ConfigureAwait(false);
            lock (_lock) _timer = null;
            return decision;
        }

        // Who of the quorum lacks what the others have written? They get it now. True when a quorum has all of it.
        public async Task<bool> EvenOutAsync(TimeSpan limit)
        {
            Dictionary<MessageKey, RecordEntry> latest;
            (int Member, MessageKey[] Missing)[] behind;
            lock (_lock)
            {
                if (Agree()) return true; // as they nearly always do
                latest = Latest();
                behind = [.. Enumerable.Range(0, _answers.Length).Where(i => _call.Of(i) == MemberAnswer.Done).Select(i => (i, Missing(_answers[i]!.Touched, latest)))];
            }

            int complete = behind.Count(b => b.Missing.Length == 0);
            if (complete == behind.Length || latest.Count == 0) return true;
            _core.Counters.CountWriteBack();
            if (!await CompleteOwnAsync(latest).ConfigureAwait(false)) return complete >= _quorum;
            if (behind.Any(b => b is { Member: 0, Missing.Length: > 0 })) complete++;
            Task<bool>[] told = [.. behind.Where(b => b.Member > 0 && b.Missing.Length > 0).Select(b => TellAsync(_links[b.Member - 1], b.Missing))];
            Task<bool[]> all = Task.WhenAll(told);
            await Task.WhenAny(all, Task.Delay(limit, _core.Clock.Provider)).ConfigureAwait(false);
            return complete + told.Count(t => t is { IsCompletedSuccessfully: true, Result: true }) >= _quorum;
        }

        /// <summary>This node has answered.</summary>
        public Task OwnDoneAsync() => _own;

        // Those that never answered learn it later: from a hint, or by comparison if there are too many.
        public async Task HintAsync()
        {
            await _heard.Task.ConfigureAwait(false);
            Dictionary<MessageKey, RecordEntry> latest;
            lock (_lock)
            {
                if (_answers.Skip(1).All(a => a is { IsDone: true })) return;
                latest = Latest();
            }

            if (latest.Count == 0) return;
            for (int i = 0; i < _peers.Length; i++)
            {
                if (_answers[i + 1] is { IsDone: true }) continue;
                if (await _core.Store.AddHintsAsync(_peers[i].Ed25519.ToArray(), [.. latest.Keys]).ConfigureAwait(false)) _core.Counters.CountHinted(latest.Count);
            }
        }

        public WireMap ToSwarm()
        {
            var swarm = new WireMap();
            lock (_lock)
            {
                for (int i = 0; i < _answers.Length; i++) swarm[i == 0 ? _core.Hex : _peers[i - 1].Hex] = Part(_answers[i], _garbled[i]);
            }

            return swarm;
        }

        private static WireMap Part(ReplicaAnswer? answer, bool garbled)
        {
            if (answer is { IsDone: true, Element: { } element }) return element;
            var part = new WireMap { ["failed"] = true };
            if (garbled) part["bad_peer_response"] = true;
            else if (answer?.Element is { } own) return own;
            else if (answer is null || answer.IsStale) part["timeout"] = true;
            else
            {
                part["code"] = (long)answer.Status;
                part["reason"] = answer.Reason;
            }

            return part;
        }

        private async Task OwnAsync(ReplicaService replica)
        {
            ReplicaAnswer answer = await replica.ExecuteAsync(_request, _stamp, _prior).ConfigureAwait(false);
            Note(0, answer, false);
        }

        // On the thread that has the answers of many: no more than counting here.
        private void Heard(int member, object? reply)
        {
            ReplicaAnswer? answer = PeerMessages.ReadAnswer(reply);
            Note(member, answer, reply is not null && answer is null);
            if (Interlocked.Decrement(ref _open) == 0) _heard.TrySetResult();
        }

        private void Note(int member, ReplicaAnswer? answer, bool garbled)
        {
            lock (_lock)
            {
                _answers[member] = answer;
                _garbled[member] = garbled;
                MemberAnswer kind = answer switch
                {
                    { IsStale: true } => MemberAnswer.Stale,
                    { IsDone: true, Votes: true } => MemberAnswer.Done,
                    { IsDone: true } => MemberAnswer.DoneWithoutVote,
                    _ => MemberAnswer.Failed,
                };
                _call.Answer(member, kind, answer?.Required ?? 0, Now);
                Publish();
            }
        }

        private void Tick()
        {
            lock (_lock)
            {
                _call.Decide(Now);
                Publish();
            }
        }

        // The deadline is the end of patience, and when a quorum is there that of the short grace.
        private void Publish()
        {
            long deadline = _call.NextDeadline;
            if (_call.Decision != QuorumDecision.Waiting)
            {
                _decided.TrySetResult(_call.Decision);
            }
            else if (_timer is not null && deadline != _armed && deadline < long.MaxValue)
            {
                _armed = deadline;
                _timer.Change(TimeSpan.FromMilliseconds(Math.Max(1, deadline - Now)), TimeSpan.FromMilliseconds(5));
            }
        }

        // All who did it wrote the same.
        private bool Agree()
        {
            IReadOnlyList<RecordEntry>? first = null;
            foreach (ReplicaAnswer? answer in _answers)
            {
                if (answer is not { IsDone: true }) continue;
                first ??= answer.Touched;
                if (first.Count != answer.Touched.Count || !first.SequenceEqual(answer.Touched)) return false;
            }

            return true;
        }

        private Dictionary<MessageKey, RecordEntry> Latest()
        {
            var latest = new Dictionary<MessageKey, RecordEntry>();
            foreach (ReplicaAnswer? answer in _answers)
            {
                if (answer is not { IsDone: true }) continue;
                foreach (RecordEntry entry in answer.Touched)
                {
                    if (!latest.TryGetValue(entry.Key, out RecordEntry known) || entry.Beats(known)) latest[entry.Key] = entry;
                }
            }

            return latest;
        }

        private static MessageKey[] Missing(IReadOnlyList<RecordEntry> touched, Dictionary<MessageKey, RecordEntry> latest)
        {
            Dictionary<MessageKey, RecordEntry> has = touched.DistinctBy(t => t.Key).ToDictionary(t => t.Key);
            return [.. latest.Where(l => !has.TryGetValue(l.Key, out RecordEntry mine) || l.Value.Beats(mine)).Select(l => l.Key)];
        }

        // This node hands the records out, so it must have them itself.
        private async Task<bool> CompleteOwnAsync(Dictionary<MessageKey, RecordEntry> latest)
        {
            MessageKey[] missing = Missing(_answers[0] is { IsDone: true } own ? own.Touched : [], latest);
            for (int i = 0; i < _peers.Length && missing.Length > 0; i++)
            {
                ReplicaAnswer? answer;
                lock (_lock) answer = _answers[i + 1];
                if (answer is not { IsDone: true } || _links[i] is not { } link) continue;
                MessageKey[] there = [.. missing.Where(k => answer.Touched.Any(t => t.Key == k && !latest[k].Beats(t)))];
                if (there.Length == 0) continue;
                object? reply = await link.SendAsync(PeerMessages.Pull(there), 100 + (32 * there.Length)).ConfigureAwait(false);
                if (SwarmSync.ReadRecords(reply, _core) is not { } records || await _core.Store.MergeAsync(records, _core.Clock.Now).ConfigureAwait(false) is null) continue;
                HashSet<MessageKey> got = [.. records.Select(r => r.Key)];
                missing = [.. missing.Where(k => !got.Contains(k))];
            }

            return missing.Length == 0;
        }

        private async Task<bool> TellAsync(PeerLink? link, MessageKey[] keys)
        {
            foreach (MessageKey[] part in keys.Chunk(200))
            {
                List<SwarmRecord> records = _core.Store.Records(part);
                if (link is null || records.Count < part.Length) return false;
                object? reply = await link.SendAsync(PeerMessages.Merge(records), records.Sum(r => 200L + r.Data.Length)).ConfigureAwait(false);
                if (reply is not WireMap map || !map.ContainsKey("n")) return false;
            }

            return true;
        }
    }
}
