using Oxen.Router.Core.Paths;
using Oxen.Router.Tests.Core.Paths;

namespace Oxen.Router.Tests.Model;

/// <summary>
/// Two builds through the same three relays, explored with the router's own <see cref="PathBuilder"/> and <see cref="BuildProcessor"/>s and an
/// injector that sees every message in the open and brings any of them, changed or not, to any relay, in any order, as often as it likes
/// (docs/protocol/model-check.md). Every course is walked anew from the beginning: real machines cannot be copied.
/// </summary>
public sealed class PathBuildModelTests(ITestOutputHelper output)
{
    private const int Hops = 3;

    private enum Change
    {
        None,
        OwnRecord,    // a bit of the record that the relay opens
        OtherRecord,  // a bit of one that it passes on
        Swapped,      // the record behind its own is that of the other build's first message
    }

    // From: the message that is brought (of a build, or made by a step), To: the relay, or the step that gets a reply (-1: the client).
    private readonly record struct Act(string Message, int To, Change Change);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Two_builds_and_an_injector_end_in_agreement_or_in_failure(bool clockMoved)
    {
        // The honest course of both builds, one after the other and in turns; at each point what the injector can do is put in (each fifth thing in
        // an ordinary run), at some points twice, and the rest goes on as far as it still can.
        int every = LinkModelTests.Number("OXEN_MODEL_EVERY", 5), twiceEvery = LinkModelTests.Number("OXEN_MODEL_TWICE_EVERY", 200);
        var known = new HashSet<string>();
        int courses = 0, built = 0, acceptedAtRelays = 0, number = 0;
        foreach (string course in new[] { "PPPPPPQQQQQQ", "PQPQPQPQPQPQ" })
        {
            for (int point = 0; point <= course.Length; point++)
            {
                foreach (Act act in Possible(clockMoved, course, point, []))
                {
                    number++;
                    if (number % every == 0) Walk(course, point, [act]);
                    if (number % twiceEvery != 0) continue;
                    foreach (Act second in Possible(clockMoved, course, point, [act])) if (number++ % every == 0) Walk(course, point, [act, second]);
                }
            }
        }

        output.WriteLine($"{courses} courses, {known.Count} different ends, {acceptedAtRelays} records accepted, {built} paths built");
        if (clockMoved) Assert.Equal(0, acceptedAtRelays);
        else Assert.True(built > 50 && known.Count > 20);

        void Walk(string course, int point, Act[] acts)
        {
            using var run = new Run(clockMoved);
            run.Go(course, 0, point);
            foreach (Act act in acts) run.Do(act);
            run.Go(course, point, course.Length);
            run.Check($"{course} at {point}: {string.Join(" ", acts)}");
            courses++;
            known.Add(run.Print());
            built += run.Built;
            acceptedAtRelays += run.Accepted;

            // Whatever was done before, a build that nobody touches succeeds.
            if (courses % 10 == 0) Assert.True(run.WalksThrough(), $"no further build after {string.Join(" ", acts)}");
        }
    }

    // The check can fail: a relay that forgot what it opened accepts a record twice, and that is seen.
    [Fact]
    public void A_relay_without_memory_is_found_out()
    {
        using var run = new Run(clockMoved: false);
        run.Do(new Act("P", 0, Change.None));
        run.Forget(0);
        run.Do(new Act("P", 0, Change.None));
        Assert.ThrowsAny<Exception>(() => run.Check("a replay"));
    }

    private static Act[] Possible(bool clockMoved, string course, int point, Act[] before)
    {
        using var run = new Run(clockMoved);
        run.Go(course, 0, point);
        foreach (Act act in before) run.Do(act);
        return [.. run.Possible()];
    }

    private sealed class Run : IDisposable
    {
        private readonly BuildRig _rig = new(91, Hops);
        private readonly PathBuilder[] _builders;
        private readonly Dictionary<string, byte[]> _messages = [];
        private readonly Dictionary<string, byte[]> _replies = [];
        private readonly List<(string Message, int Relay, BuildStep Step, bool Transit, string Record)> _steps = [];
        private readonly HashSet<string> _original = [];
        private readonly HashSet<int> _answered = [];
        private readonly PathBuildResult?[] _results = new PathBuildResult?[2];

        public Run(bool clockMoved)
        {
            _builders = [_rig.Builder(Hops), _rig.Builder(Hops)];
            for (int i = 0; i < 2; i++)
            {
                byte[] message = new byte[BuildFormat.MessageBytes];
                _builders[i].WriteRequest(message);
                _messages[i == 0 ? "P" : "Q"] = message;
            }

            if (clockMoved) for (int i = 0; i < Hops; i++) _rig.RelayEpochs[i] += BuildFormat.EpochTolerance + 1;
        }

        public int Built => _results.Count(r => r?.IsBuilt == true);

        public int Accepted => _steps.Count(s => s.Step.RefusalStatus == BuildStatus.Accepted);

        public void Forget(int relay) => _rig.Processors[relay] = new BuildProcessor(_rig.Routers[relay].Identity.Id, _rig.Rings[relay], new BuildPolicy { ReplayCapacityPerEpoch = 64 }, _rig.Entropy);

        public void Do(Act act)
        {
            if (_messages.TryGetValue(act.Message, out byte[]? request))
            {
                Request(act, [.. request]);
                return;
            }

            byte[] reply = [.. _replies[act.Message]];
            Alter(reply, act.Change);
            if (act.To >= 0)
            {
                (string of, int relay, BuildStep step, _, _) = _steps[act.To];
                _rig.Processors[relay].WriteReply(step, BuildStatus.Accepted, reply);
                _answered.Add(act.To);
                _replies[$"<{of}:{act.Message}"] = reply;
                return;
            }

            int client = act.To == -1 ? 0 : 1;
            _results[client] = _builders[client].ReadReply(reply);
        }

        /// <summary>The honest acts of two builds, in the order of the letters; what cannot be done any more is left out.</summary>
        public void Go(string course, int from, int to)
        {
            for (int i = from; i < to; i++)
            {
                char build = course[i];
                if (Honest(build, course.AsSpan(0, i).Count(build)) is { } act) Do(act);
            }
        }

        public IEnumerable<Act> Possible()
        {
            foreach (string message in _messages.Keys)
                for (int relay = 0; relay < Hops; relay++)
                    foreach (Change change in Enum.GetValues<Change>())
                        if (relay == Depth(message) || change == Change.None) yield return new Act(message, relay, change);
            foreach (string reply in _replies.Keys)
            {
                for (int step = 0; step < _steps.Count; step++) if (_steps[step].Transit && !_answered.Contains(step)) yield return new Act(reply, step, Change.None);
                for (int client = 0; client < 2; client++)
                {
                    if (_results[client] is not null) continue;
                    yield return new Act(reply, -1 - client, Change.None);
                    yield return new Act(reply, -1 - client, Change.OwnRecord);
                    yield return new Act(reply, -1 - client, Change.OtherRecord);
                }
            }
        }

        private Act? Honest(char build, int stage)
        {
            string reply = stage switch { 3 => $"<{build}012", 4 => $"<{build}0:<{build}012", _ => $"<{build}:<{build}0:<{build}012" };
            string message = stage switch { 0 => $"{build}", 1 => $"{build}0", _ => $"{build}01" };
            if (stage < 3) return _messages.ContainsKey(message) ? new Act(message, stage, Change.None) : null;
            if (!_replies.ContainsKey(reply)) return null;
            if (stage == 5) return _results[build == 'P' ? 0 : 1] is null ? new Act(reply, build == 'P' ? -1 : -2, Change.None) : null;
            int relay = 4 - stage, step = _steps.FindIndex(s => s.Transit && s.Relay == relay && s.Message == (relay == 0 ? $"{build}" : $"{build}0"));
            return step >= 0 && !_answered.Contains(step) ? new Act(reply, step, Change.None) : null;
        }

        /// <summary>What is known and done, whatever the order it came in.</summary>
        public string Print() => string.Join(',', _messages.Keys.Order(StringComparer.Ordinal)) + '|' + string.Join(',', _replies.Keys.Order(StringComparer.Ordinal)) + '|'
            + string.Join(',', _steps.Select(s => $"{s.Message}@{s.Relay}{s.Step.RefusalStatus}").Order(StringComparer.Ordinal)) + $"|{_results[0]?.End}{_results[0]?.FailedHop}{_results[1]?.End}{_results[1]?.FailedHop}";

        public void Check(string trail)
        {
            var accepted = _steps.Where(s => s.Step.RefusalStatus == BuildStatus.Accepted).ToList();
            Assert.True(accepted.Select(s => s.Record).Distinct().Count() == accepted.Count, $"a record was accepted twice: {trail}");
            Assert.True(accepted.All(s => _original.Contains(s.Record)), $"a record was accepted that no client wrote: {trail}");
            var keys = new HashSet<string>();
            foreach ((_, _, BuildStep step, _, _) in _steps)
            {
                Assert.True(keys.Add(Convert.ToHexString(step.Secrets.ChainUpstream)) && keys.Add(Convert.ToHexString(step.Secrets.ChainDownstream)) && keys.Add(Convert.ToHexString(step.Secrets.SessionSecret)), $"two steps share a key: {trail}");
                if (step.RefusalStatus == BuildStatus.Accepted) Assert.True(step.Suite == BuildFormat.Suite && step.Secrets.StartEpoch == BuildRig.Epoch, $"another suite or epoch than the client's: {trail}");
            }

            for (int client = 0; client < 2; client++)
            {
                if (_results[client] is not { IsBuilt: true } result) continue;
                for (int hop = 0; hop < Hops; hop++)
                {
                    var same = accepted.Where(s => s.Step.Secrets.ChainUpstream.SequenceEqual(result.Hops[hop].ChainUpstream)).ToList();
                    Assert.True(same.Count == 1 && same[0].Relay == hop && same[0].Step.Secrets.Transcript.SequenceEqual(result.Hops[hop].Transcript), $"the client of a path that is built and hop {hop} do not agree: {trail}");
                    Assert.True(same[0].Message[0] == (client == 0 ? 'P' : 'Q'), $"a path is made of two builds: {trail}");
                }
            }
        }

        public bool WalksThrough()
        {
            using PathBuilder fresh = _rig.Builder(Hops);
            using PathBuildResult result = _rig.Run(fresh);
            return result.IsBuilt || _rig.RelayEpochs[0] != BuildRig.Epoch;
        }

        public void Dispose()
        {
            foreach (PathBuildResult? result in _results) result?.Dispose();
            foreach ((_, _, BuildStep step, _, _) in _steps) step.Dispose();
            foreach (PathBuilder builder in _builders) builder.Dispose();
            _rig.Dispose();
        }

        private void Request(Act act, byte[] message)
        {
            if (act.Change == Change.Swapped) BuildFormat.Record(_messages[act.Message[0] == 'P' ? "Q" : "P"], 1).CopyTo(BuildFormat.Record(message, 1));
            Alter(message, act.Change);
            string record = Convert.ToHexString(BuildFormat.Record(message, 0));
            if (act.Change != Change.OwnRecord && !act.Message.Contains('!')) _original.Add(record);
            BuildOutcome outcome = _rig.Processors[act.To].Process(message, _rig.RelayEpochs[act.To], _rig.Entropy, out BuildStep? step);
            string name = $"{act.Message}{act.To}{(act.Change == Change.None ? "" : "!")}";
            if (step is null)
            {
                _rig.Processors[act.To].WriteBlankReply(message, _rig.Entropy);
                _replies[$"<{name}"] = message;
                return;
            }

            _steps.Add((act.Message, act.To, step, outcome == BuildOutcome.Transit, record));
            if (outcome == BuildOutcome.Transit)
            {
                _messages[name] = message;
                return;
            }

            _rig.Processors[act.To].WriteFirstReply(step, step.RefusalStatus, message, _rig.Entropy);
            _replies[$"<{name}"] = message;
        }

        private static void Alter(byte[] message, Change change)
        {
            if (change == Change.OwnRecord) message[1200] ^= 1;
            else if (change == Change.OtherRecord) message[BuildFormat.RecordBytes + 1200] ^= 1;
        }

        private static int Depth(string message) => message.Count(char.IsAsciiDigit);
    }
}
