using System.Collections.Immutable;
using System.Globalization;
using Oxen.Ons.Ledger;
using Oxen.Ons.Zones;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Ledger;

// Random lives of a network, with reorganisations: after every block the state is what the naive ledger says, and each operation was
// taken or refused as it says. OXEN_MODEL_OPERATIONS makes it longer; a failure prints its seed.
public class ModelTests
{
    private const int InCi = 100_000;
    private static readonly string[] People = [.. Enumerable.Range(0, 9).Select(i => $"p{i}")];
    private static readonly string[] NodeKeys = [.. Enumerable.Range(0, 12).Select(i => $"model node {i}")];
    private static readonly LedgerRules Rules = LedgerRules.Quick;

    // Which of the operations below, how often: so that both answers of each come about.
    private static readonly int[] Weighted = [0, 0, 0, 0, 1, 1, 2, 2, 2, 4, 4, 4, 6, 7, 7, 8, 9, 10, 11, 12, 13];

    [Fact]
    public void A_hundred_thousand_random_operations_with_reorganisations_lead_to_the_naive_state()
    {
        int operations = int.TryParse(Environment.GetEnvironmentVariable("OXEN_MODEL_OPERATIONS"), CultureInfo.InvariantCulture, out int n) ? n : InCi;
        int seed = 20_261_127;
        var life = new Life(seed);
        try
        {
            while (life.Asked < operations) life.Step();
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"seed {seed}, height {life.Height}, after {life.Asked} operations: {e.Message}", e);
        }

        double valid = (double)life.Taken / life.Asked;
        TestContext.Current.TestOutputHelper?.WriteLine($"{life.Asked} operations, {valid:P1} valid, {life.Reorganisations} reorganisations, height {life.Height}");
        TestContext.Current.TestOutputHelper?.WriteLine(string.Join(", ", life.ByKind.OrderBy(k => k.Key).Select(k => $"{k.Key} {k.Value.Taken}/{k.Value.Asked}")));
        Assert.True(valid >= 0.3, $"only {valid:P1} of the operations were valid");
        Assert.All(life.ByKind, k => Assert.True(k.Value.Taken > 0 && k.Value.Taken < k.Value.Asked, $"{k.Key}: {k.Value.Taken} of {k.Value.Asked} were valid; both must happen"));
    }

    private sealed class Life
    {
        private readonly Random _random;
        private readonly Genesis _genesis;
        private readonly List<(LedgerState State, NaiveLedger Naive)> _chain = [];
        private readonly Dictionary<int, Bytes32> _ids = [];
        private readonly Dictionary<string, (string Who, ZoneRevealBody Body, string Name, int Class)> _reveals = [];
        private readonly List<string> _commitments = [];
        private NaiveLedger _naive;
        private LedgerState _state;
        private int _serial;

        public Life(int seed)
        {
            _random = new Random(seed);
            _genesis = Genesis.Create("model", 1_700_000_000_000, Rules, Ons.Proofs.Committee.Of(Founders.Select(f => f.Id)), People.Select(p => KeyValuePair.Create(Key(p).Id, 3_000 * TestLedger.Oxen)));
            _state = LedgerState.Of(_genesis);
            _naive = new NaiveLedger(Rules) { Issued = (ulong)People.Length * 3_000 * TestLedger.Oxen };
            foreach (string person in People) _naive.Money[person] = 3_000 * TestLedger.Oxen;
            _chain.Add((_state, _naive.Copy()));
        }

        public int Asked { get; private set; }

        public int Taken { get; private set; }

        public int Reorganisations { get; private set; }

        public ulong Height => _state.Height;

        public SortedDictionary<string, (int Taken, int Asked)> ByKind { get; } = [];

        public void Step()
        {
            if (_chain.Count > 1 && _random.Next(25) == 0)
            {
                int back = _random.Next(1, Math.Min(_chain.Count, 12));
                _chain.RemoveRange(_chain.Count - back, back);
                (_state, NaiveLedger kept) = _chain[^1];
                _naive = kept.Copy();
                Reorganisations++;
            }

            var editor = new BlockEditor(_state, _state.UnixMilliseconds + 1000);
            _naive.NextBlock();
            var nonces = new Dictionary<Bytes32, ulong>();
            ImmutableArray<Operation>.Builder taken = ImmutableArray.CreateBuilder<Operation>();
            for (int i = _random.Next(0, 40); i > 0; i--)
            {
                (string kind, string signer, OperationBody body, Func<int, bool> naive) = Draw();
                LedgerKey key = Key(signer);
                ulong nonce = nonces.GetValueOrDefault(key.Id, _state.Account(key.Id).Nonce);
                int serial = ++_serial;
                Operation operation = Operation.Create(Finish(body, key.Id, nonce), key, nonce, _genesis.Network);
                operation.SignatureChecked = true; // its own code has its own tests; half of the time goes there
                _ids[serial] = operation.Id;
                bool expected = naive(serial);
                Refusal? refusal = editor.Apply(operation);
                Assert.True(expected == (refusal is null), $"{kind} by {signer}: naive says {expected}, the ledger {refusal?.ToString() ?? "takes it"}: {body}");
                (int t, int a) = ByKind.GetValueOrDefault(kind);
                ByKind[kind] = (t + (expected ? 1 : 0), a + 1);
                Asked++;
                if (!expected) continue;
                Taken++;
                nonces[key.Id] = nonce + 1;
                taken.Add(operation);
            }

            _state = editor.Finish(Block.RootOf(taken)).State;
            _chain.Add((_state, _naive.Copy()));
            if (_chain.Count > 40) _chain.RemoveAt(0);
            Compare();
        }

        // Registrations are signed for one nonce.
        private OperationBody Finish(OperationBody body, Bytes32 signer, ulong nonce)
            => body is NodeRegisterBody register ? register.SignedBy(NodeKeys.Select(Key).First(k => k.Id == register.Node), signer, nonce, _genesis.Network) : body;

        private void Compare()
        {
            foreach (string person in People) Assert.Equal(_naive.Money[person], _state.Account(Key(person).Id).Balance);
            Assert.Equal((_naive.Issued, _naive.Burned), (_state.Totals.Issued, _state.Totals.Burned));
            NameEntry[] names = [.. _state.Tree.All().Select(e => e.Entry).OfType<NameEntry>()];
            Assert.Equal(_naive.Names.Count, names.Length);
            foreach (NaiveLedger.N n in _naive.Names)
            {
                NameEntry e = _state.Name((NameType)n.Type, NameHash.Of(n.Name))!;
                Assert.Equal((Owner(n.Owner), n.Backup is null ? null : Owner(n.Backup), n.Until, _ids[n.Operation]), (e.Owner, e.Backup, e.ExpirationHeight, e.LastOperation));
                Assert.Equal(Value(n.Value, e.Type), e.Value);
            }

            Assert.Equal(_naive.Zones.Count, _state.Tree.All().Count(e => e.Entry is ZoneEntry));
            foreach (NaiveLedger.Z z in _naive.Zones)
            {
                ZoneEntry e = _state.Zone(Index(z.Name, z.Class))!;
                Assert.Equal(
                    (Key(z.Owner).Id, z.Backup is null ? null : Key(z.Backup).Id, z.Sequence, z.Epoch, z.Until, _ids[z.Operation], z.Heir is null ? default : Key(z.Heir).Id, z.HeirFrom),
                    (e.Owner, e.Backup, e.Sequence, e.Epoch, e.ExpirationHeight, e.LastOperation, e.Recovery?.NewOwner ?? default, e.Recovery?.ReadyHeight ?? 0));
                Assert.Equal(ZoneValue(z.Value), e.Value);
            }

            Assert.Equal(_naive.Nodes.Count, _state.Nodes.Count);
            foreach (NaiveLedger.S s in _naive.Nodes)
            {
                NodeEntry e = _state.Node(Key(s.Node).Id)!;
                Assert.Equal((s.Stage, s.Since, s.Payable, s.Leaves, s.Back, s.Credit, s.Outs), (e.Stage.ToString().ToLowerInvariant(), e.StageHeight, e.Payable, e.UnlockHeight, e.ReleaseHeight, e.Credit, e.DecommissionCount));
                Assert.Equal(s.Stakes.Select(x => (Key(x.Who).Id, x.Amount)), e.Contributions.Select(c => (c.Account, c.Amount)));
                Assert.Equal(s.Earned, e.Payable ? _state.Totals.RewardIndex - e.RewardIndex : 0);
            }

            if (_state.Height % 97 == 0) Assert.Empty(LedgerAudit.Check(_state));
        }

        private T Pick<T>(IReadOnlyList<T> of) => of[_random.Next(of.Count)];

        private bool Often => _random.Next(8) > 0;

        private (string, string, OperationBody, Func<int, bool>) Draw()
        {
            string who = Pick(People), other = Pick(People);
            switch (Weighted[_random.Next(Weighted.Length)])
            {
                case 0:
                    ulong amount = _random.Next(20) == 0 ? 5_000 * TestLedger.Oxen : (ulong)_random.Next(0, 100_000_000);
                    return ("transfer", who, new TransferBody(Key(other).Id, amount), _ => _naive.Transfer(who, other, amount));
                case 1:
                    ulong burned = _random.Next(4) == 0 ? (ulong)_random.Next(2) * 9_000 * TestLedger.Oxen : (ulong)_random.Next(1, 1000);
                    return ("burn", who, new BurnBody(burned, "model"), _ => _naive.Burn(who, burned));
                case 2 or 3:
                    return DrawBuy(who, other);
                case 4 or 5:
                    return DrawUpdate(who, other);
                case 6:
                    return DrawRenew(who);
                case 7:
                    return _random.Next(2) == 0 || _reveals.Count == 0 ? DrawCommit(who, other) : DrawReveal(who);
                case 8:
                    return DrawZoneUpdate(who, other);
                case 9:
                    return _random.Next(2) == 0 ? DrawZoneRenew(who) : DrawRecover(who, other);
                case 10:
                    string fresh = Pick(NodeKeys);
                    ulong stake = _random.Next(5) switch { 0 => 24UL, 1 => 100, 2 => 101, 3 => 60, _ => 30 } * TestLedger.Oxen;
                    int cut = _random.Next(0, 10_500);
                    return ("register", who, new NodeRegisterBody(Key(fresh).Id, (ushort)cut, stake, [], []), _ => _naive.Register(who, fresh, stake, cut));
                case 11:
                    string node = SomeNode();
                    ulong part = _random.Next(6) switch { 0 => 1UL, 1 => 70, 2 => 71, 3 => 40, 4 => 10, _ => 8 } * TestLedger.Oxen;
                    return ("contribute", who, new NodeContributeBody(Key(node).Id, part), _ => _naive.Contribute(who, node, part));
                case 12:
                    string from = SomeNode();
                    string member = _naive.Nodes.Find(n => n.Node == from) is { } known && Often ? Pick(known.Stakes).Who : who;
                    return _random.Next(4) == 0
                        ? ("unlock", member, new NodeUnlockBody(Key(from).Id), _ => _naive.Unlock(member, from))
                        : ("collect", member, new NodeCollectBody(Key(from).Id), _ => _naive.Collect(member, from));
                default:
                    NaiveLedger.S[] due = [.. _naive.Nodes.Where(n => n.Stage == "decommissioned" || (n.Stage == "active" && _naive.Height >= n.Proof + Rules.ProofGapBlocks))];
                    string prover = due.Length > 0 && Often ? Pick(due).Node : SomeNode();
                    ulong now = (_state.UnixMilliseconds + 1000) / 1000;
                    return ("prove", prover, new NodeProofBody(new NodeFacts(1, 2, 3, 4, 5, 6, 7, now)), _ => _naive.Prove(prover));
            }
        }

        private string SomeNode() => _naive.Nodes.Count > 0 && Often ? Pick(_naive.Nodes).Node : Pick(NodeKeys);

        private (string, string, OperationBody, Func<int, bool>) DrawBuy(string who, string other)
        {
            int raw = _random.Next(0, 6), value = _random.Next(1, 250);
            string name = $"name{_random.Next(3000)}";
            string? backup = _random.Next(3) == 0 ? other : null;
            long off = _random.Next(12) switch { 0 => 1, 1 => -1, _ => 0 };
            var type = (NameType)Math.Min(raw, 2);
            NameBody body = TestLedger.Buy(name, raw, who, null, off, Value(value, type));
            body = body with { Payload = body.Payload with { Backup = backup is null ? null : Owner(backup) } };
            return ("buy", who, body, id => _naive.Buy(who, raw, name, who, backup, value, body.Burn, id));
        }

        private (string, string, OperationBody, Func<int, bool>) DrawUpdate(string who, string other)
        {
            if (_naive.Names.Count == 0) return DrawBuy(who, other);
            NaiveLedger.N entry = Pick(_naive.Names);
            string sender = Often ? (_random.Next(3) == 0 ? entry.Backup ?? entry.Owner : entry.Owner) : who;
            string signer = Often ? sender : who;
            string? owner = _random.Next(4) == 0 ? other : null, backup = _random.Next(4) == 0 ? Pick(People) : null;
            int? value = _random.Next(4) > 0 || (owner is null && backup is null) ? _random.Next(1, 250) : null;
            bool stale = !Often;
            var payload = new NamePayload
            {
                RawType = (ushort)entry.Type, Hash = NameHash.Of(entry.Name), Previous = stale ? LedgerHash.Of("stale"u8, []) : _ids[entry.Operation],
                Owner = owner is null ? null : Owner(owner), Backup = backup is null ? null : Owner(backup), Value = value is { } v ? Value(v, (NameType)entry.Type) : null,
            };
            return ("update", sender, new NameBody(0, payload.SignedBy(Key(signer))), id => _naive.Update(sender, signer, entry.Type, entry.Name, owner, backup, value, stale ? -1 : entry.Operation, id));
        }

        private (string, string, OperationBody, Func<int, bool>) DrawRenew(string who)
        {
            NaiveLedger.N[] expiring = [.. _naive.Names.Where(n => n.Type == 2)];
            if (expiring.Length == 0) return DrawBuy(who, who);
            NaiveLedger.N entry = Pick(expiring);
            int raw = _random.Next(2, 6);
            ulong price = (ulong)((long)NamePrices.Price(raw, 19)!.Value + (Often ? 0 : 1));
            bool stale = !Often;
            var payload = new NamePayload { RawType = (ushort)raw, Hash = NameHash.Of(entry.Name), Previous = stale ? LedgerHash.Of("stale"u8, []) : _ids[entry.Operation] };
            return ("renew", who, new NameBody(price, payload), id => _naive.Renew(who, raw, entry.Name, price, stale ? -1 : entry.Operation, id));
        }

        private (string, string, OperationBody, Func<int, bool>) DrawCommit(string who, string other)
        {
            int cls = _random.Next(2, 4), years = _random.Next(1, 3), value = _random.Next(1, 250);
            string name = $"zone{_random.Next(25)}";
            string? backup = _random.Next(2) == 0 ? other : null;
            var reveal = new ZoneRevealBody(NameType.Lokinet, (byte)cls, (byte)years, Blind(name), Key(who).Id, backup is null ? null : Key(backup).Id, ZoneValue(value), LedgerHash.Of("salt"u8, BitConverter.GetBytes(_random.Next(1000))));
            Bytes32 commitment = reveal.Commitment(Key(who).Id, _genesis.Network);
            string key = commitment.ToString();
            ulong deposit = Rules.ZonePrice(cls) * (ulong)years + (ulong)_random.Next(0, 3) * TestLedger.Oxen - (_random.Next(6) == 0 ? TestLedger.Oxen : 0);
            if (_reveals.TryAdd(key, (who, reveal, name, cls))) _commitments.Add(key);
            return ("commit", who, new ZoneCommitBody(commitment, deposit), _ => _naive.Commit(who, key, deposit));
        }

        private (string, string, OperationBody, Func<int, bool>) DrawReveal(string who)
        {
            string key = _naive.Commits.Count > 0 && Often ? Pick(_naive.Commits).Key : Pick(_commitments);
            (string payer, ZoneRevealBody body, string name, int cls) = _reveals[key];
            string owner = People.First(p => Key(p).Id == body.Owner);
            string? backup = body.Backup is { } b ? People.First(p => Key(p).Id == b) : null;
            int value = body.Value[0];
            string sender = Often ? payer : who;
            return ("reveal", sender, body, id => sender == payer && _naive.Reveal(sender, key, name, cls, body.Years, owner, backup, value, id));
        }

        private (string, string, OperationBody, Func<int, bool>) DrawZoneUpdate(string who, string other)
        {
            if (_naive.Zones.Count == 0) return DrawCommit(who, other);
            NaiveLedger.Z zone = Pick(_naive.Zones);
            string? owner = _random.Next(5) == 0 ? other : null, backup = _random.Next(5) == 0 ? Pick(People) : null;
            bool noBackup = backup is null && _random.Next(8) == 0;
            int? value = _random.Next(3) > 0 || (owner is null && backup is null && !noBackup) ? _random.Next(1, 250) : null;
            string signer = Often ? zone.Owner : who;
            ulong sequence = zone.Sequence + (Often ? 1UL : 2);
            bool stale = !Often;
            ZoneFields fields = (owner is null ? 0 : ZoneFields.Owner) | (backup is null ? 0 : ZoneFields.Backup) | (noBackup ? ZoneFields.NoBackup : 0) | (value is null ? 0 : ZoneFields.Value);
            ZoneUpdateBody body = new ZoneUpdateBody(Index(zone.Name, zone.Class), stale ? LedgerHash.Of("stale"u8, []) : _ids[zone.Operation], sequence, fields, owner is null ? default : Key(owner).Id, backup is null ? default : Key(backup).Id, value is { } v ? ZoneValue(v) : [], [])
                .SignedBy(Key(signer), NameType.Lokinet, _genesis.Network);
            return ("zone update", who, body, id => _naive.ZoneUpdate(who, signer, zone.Name, zone.Class, owner, backup, noBackup, value, sequence, stale ? -1 : zone.Operation, id));
        }

        private (string, string, OperationBody, Func<int, bool>) DrawZoneRenew(string who)
        {
            if (_naive.Zones.Count == 0) return DrawCommit(who, who);
            NaiveLedger.Z zone = Pick(_naive.Zones);
            int years = Often ? _random.Next(1, 4) : _random.Next(0, 12);
            ulong burn = Rules.ZonePrice(zone.Class) * (ulong)years + (Often ? 0UL : 1);
            return ("zone renew", who, new ZoneRenewBody(Index(zone.Name, zone.Class), (byte)years, burn), _ => _naive.ZoneRenew(who, zone.Name, zone.Class, years, burn));
        }

        private (string, string, OperationBody, Func<int, bool>) DrawRecover(string who, string other)
        {
            if (_naive.Zones.Count == 0) return DrawCommit(who, other);
            NaiveLedger.Z zone = Pick(_naive.Zones);
            int step = zone.Heir is null ? (Often ? 0 : 2) : _random.Next(6) == 0 ? 1 : 2;
            string signer = Often ? (step == 1 ? zone.Owner : zone.Backup ?? who) : who;
            ZoneRecoverBody body = new ZoneRecoverBody(Index(zone.Name, zone.Class), _ids[zone.Operation], (RecoveryStep)step, step == 0 ? Key(other).Id : default, []).SignedBy(Key(signer), NameType.Lokinet, _genesis.Network);
            return ("recover", who, body, id => _naive.Recover(who, signer, zone.Name, zone.Class, step, step == 0 ? other : null, zone.Operation, id));
        }

        private static Bytes32 Blind(string name) => LedgerHash.Of("blind"u8, System.Text.Encoding.ASCII.GetBytes(name));

        private Bytes32 Index(string name, int cls) => ZoneIndex.Of(NameType.Lokinet, (byte)cls, Blind(name), _genesis.Network);

        private static byte[] ZoneValue(int value) => value == 0 ? [] : [(byte)value, 1, 2, 3];
    }
}
