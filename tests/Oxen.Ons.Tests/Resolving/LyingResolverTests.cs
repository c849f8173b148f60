using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Resolving;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Tests.Ledger;
using Oxen.Ons.Zones;
using Oxen.Router.Handlers;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Resolving;

/// <summary>A client asks relays that it does not trust: one that lies is refused with words, and the next one asked.</summary>
public sealed class LyingResolverTests : IAsyncLifetime
{
    private static readonly byte[] Address = Key("service").Id.ToArray();

    private LedgerHost _host = null!;

    public async ValueTask InitializeAsync()
    {
        _host = await OpenAsync("light");
        await BuyAsync(_host, "hello.loki", Address);
        await SignTipAsync(_host);
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task An_honest_relay_proves_presence_and_absence()
    {
        LightNameSource names = Names(new Relay(_host));
        NameAnswer found = await names.ResolveAsync("hello", CancellationToken.None);
        Assert.Equal((NameOutcome.Found, Convert.ToHexString(Address)), (found.Outcome, Convert.ToHexString(found.Address.Span)));
        Assert.Equal(NameOutcome.NotFound, (await names.ResolveAsync("absent", CancellationToken.None)).Outcome);
        Assert.Equal(0, names.Refusals);
    }

    public static TheoryData<string, string> Lies => new()
    {
        { "forged", "does not lead to the signed root" },
        { "unsigned", "too few of the committee" },
        { "strangers", "nobody handed over" },
        { "absent", "does not lead to the signed root" },
        { "other name", "does not lead to the signed root" },
        { "garbage", "gave something that is no answer" },
        { "silent", "did not answer within" },
        { "broken", "was not reached: cut" },
        { "no ledger", "has no copy of the ledger" },
        { "other network", "the ledger of another network" },
        { "nothing signed", "no block that a quorum signed" },
        { "old", "minutes old" },
    };

    [Theory, MemberData(nameof(Lies))]
    public async Task A_lie_is_refused_in_words_and_another_relay_is_asked(string lie, string words)
    {
        var liar = new Relay(_host) { Lie = lie };
        LightNameSource alone = Names(liar);
        NameAnswer refused = await alone.ResolveAsync("hello", CancellationToken.None);
        Assert.Equal((NameOutcome.Unavailable, 0), (refused.Outcome, refused.Address.Length));
        Assert.Contains(words, refused.Reason, StringComparison.Ordinal);

        var honest = new Relay(_host);
        LightNameSource both = Names(liar, honest);
        NameAnswer found = await both.ResolveAsync("hello", CancellationToken.None);
        Assert.Equal((NameOutcome.Found, 1L), (found.Outcome, both.Refusals));

        // And it is remembered: the honest one comes first now.
        int asked = liar.Asked;
        Assert.Equal(NameOutcome.NotFound, (await both.ResolveAsync("absent", CancellationToken.None)).Outcome);
        Assert.Equal((asked, 1L), (liar.Asked, both.Refusals));
    }

    [Fact]
    public async Task A_stale_answer_is_refused_by_whoever_has_seen_newer()
    {
        LedgerState old = _host.State;
        byte[] moved = Key("moved").Id.ToArray();
        NameEntry before = old.Name(NameType.Lokinet, NameHash.Of("hello.loki"))!;
        var update = new NamePayload { RawType = 2, Hash = before.Hash, Previous = before.LastOperation, Value = ValueCipher.Encrypt(moved, "hello.loki", new byte[24]) };
        await DoAsync(_host, "alice", new NameBody(0, update.SignedBy(Key("alice"))));
        await SignTipAsync(_host);
        var stale = new Relay(_host) { Lie = "stale", Height = old.Height };
        LightNameSource names = Names(new Relay(_host), stale);
        Assert.Equal(Convert.ToHexString(moved), Convert.ToHexString((await names.ResolveAsync("hello", CancellationToken.None)).Address.Span));
        LightNameSource alone = Names(stale);
        Assert.Equal(Convert.ToHexString(Address), Convert.ToHexString((await alone.ResolveAsync("hello", CancellationToken.None)).Address.Span)); // true once, and this client has seen no newer
        var client = LightClient.From(_host.State.Genesis);
        var honest = new Relay(_host);
        var later = new LightNameSource(client, [Source(honest, 0)], new LightNameOptions(), TimeProvider.System);
        await later.ResolveAsync("hello", CancellationToken.None);
        NameAnswer refused = await new LightNameSource(client, [Source(stale, 0)], new LightNameOptions(), TimeProvider.System).ResolveAsync("hello", CancellationToken.None);
        Assert.Equal(NameOutcome.Unavailable, refused.Outcome);
        Assert.Contains("older than what is known already", refused.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_question_and_every_answer_has_one_size()
    {
        var relay = new Relay(_host);
        LightNameSource names = Names(relay);
        foreach (string name in new[] { "hello", "absent", "a-long-name-that-nobody-has-bought-yet" }) await names.ResolveAsync(name, CancellationToken.None);
        await Names(new Relay(_host) { Lie = "other network" }).ResolveAsync("hello", CancellationToken.None);
        Assert.Equal(3, relay.Asked);
        Assert.Equal([(ProofWire.ResolveBytes, ProofWire.ResolveAnswerBytes)], relay.Sizes.Distinct());
    }

    [Fact]
    public async Task A_client_whose_committee_is_long_gone_is_led_to_the_new_one()
    {
        LedgerRules rules = LedgerRules.Quick with { CommitteeSize = 4, EpochBlocks = 5, ProofValidityBlocks = 10_000 };
        await using LedgerHost host = await OpenAsync("epochs", rules);
        string[] nodes = [.. Enumerable.Range(0, 6).Select(i => $"node {i}")];
        foreach (string node in nodes)
        {
            await DoAsync(host, "alice", new NodeRegisterBody(Key(node).Id, 0, rules.StakeRequirement, [], []).SignedBy(Key(node), Key("alice").Id, host.State.Account(Key("alice").Id).Nonce, host.State.Network));
            await SignTipAsync(host, nodes);
        }

        for (int i = 0; i < 60; i++)
        {
            await DoAsync(host, "bob", new TransferBody(Key("carol").Id, 1));
            await SignTipAsync(host, nodes);
        }

        await BuyAsync(host, "hello.loki", Address);
        await SignTipAsync(host, nodes);
        Assert.NotEqual(host.State.Genesis.Committee.Hash, host.State.Committee.Hash);
        var relay = new Relay(host);
        NameAnswer found = await Names(relay).ResolveAsync("hello", CancellationToken.None);
        Assert.Equal((NameOutcome.Found, ""), (found.Outcome, found.Reason));
        Assert.Contains((ProofWire.WayBytes, ProofWire.WayAnswerBytes), relay.Sizes);
    }

    [Fact]
    public async Task A_name_below_a_zone_is_followed_from_the_proven_zone_to_its_signed_record()
    {
        (ZoneIndex zone, LedgerKey signer) = await DelegateAsync();
        ulong until = Later(100);
        byte[] target = Key("www").Id.ToArray();
        byte[] newest = Record(signer, "www", target, 2, until), older = Record(signer, "www", Address, 1, until);
        LightNameSource names = Names(new Relay(_host));
        Assert.Equal(NameOutcome.NotFound, (await names.ResolveAsync("www.zoned", CancellationToken.None)).Outcome); // asked, and nobody has it
        Assert.Equal(SubnameRefusal.None, _host.Subnames.Put(Publication(zone, signer, newest)));
        var relay = new Relay(_host);
        NameAnswer found = await Names(relay).ResolveAsync("www.zoned", CancellationToken.None);
        Assert.Equal((NameOutcome.Found, Convert.ToHexString(target)), (found.Outcome, Convert.ToHexString(found.Address.Span)));
        Assert.Equal([(ProofWire.ResolveBytes, ProofWire.ResolveAnswerBytes), (ProofWire.ResolveBytes, ProofWire.SubnameAnswerBytes)], relay.Sizes);
        Assert.Equal(Convert.ToHexString(Address), Convert.ToHexString((await names.ResolveAsync("zoned", CancellationToken.None)).Address.Span)); // the zone itself
        Assert.Equal(NameOutcome.NotFound, (await names.ResolveAsync("a.b.zoned", CancellationToken.None)).Outcome);

        // Who withholds, forges, or shows an old record, alone and beside an honest one.
        byte[] forged = Record(Key("mallory"), "www", Key("thief").Id.ToArray(), 9, until), lapsed = Record(signer, "www", Address, 9, Later(-1)), other = Record(signer, "ftp", Address, 9, until);
        Assert.Equal(NameOutcome.NotFound, (await Names(new Relay(_host) { Lie = "withheld" }).ResolveAsync("www.zoned", CancellationToken.None)).Outcome);
        foreach (byte[] lie in new[] { forged, lapsed, other, [1, 2, 3] })
        {
            LightNameSource alone = Names(new Relay(_host) { Below = lie });
            NameAnswer refused = await alone.ResolveAsync("www.zoned", CancellationToken.None);
            Assert.Equal((NameOutcome.Unavailable, 0, 1L), (refused.Outcome, refused.Address.Length, alone.Refusals));
            Assert.Contains("not to be believed", refused.Reason, StringComparison.Ordinal);
            Assert.Equal(Convert.ToHexString(target), await AddressOf(Names(new Relay(_host) { Below = lie }, new Relay(_host))));
        }

        Assert.Equal(Convert.ToHexString(target), await AddressOf(Names(new Relay(_host) { Lie = "withheld" }, new Relay(_host))));
        Assert.Equal(Convert.ToHexString(target), await AddressOf(Names(new Relay(_host) { Below = older }, new Relay(_host)))); // of several the newest

        // And what a client has seen once, it does not go behind.
        var changing = new Relay(_host) { Below = newest };
        LightNameSource remembers = Names(changing);
        Assert.Equal(Convert.ToHexString(target), await AddressOf(remembers));
        changing.Below = older;
        Assert.Equal(NameOutcome.Unavailable, (await remembers.ResolveAsync("www.zoned", CancellationToken.None)).Outcome);

        static async Task<string> AddressOf(LightNameSource source) => Convert.ToHexString((await source.ResolveAsync("www.zoned", CancellationToken.None)).Address.Span);
    }

    private static ulong Later(int seconds) => (ulong)DateTimeOffset.UtcNow.AddMinutes(seconds).ToUnixTimeSeconds();

    private static byte[] Record(LedgerKey signer, string label, byte[] address, ulong sequence, ulong until) => Subname.Seal(label, [ZoneRecord.Address(address)], signer, sequence, until, new byte[24]);

    private byte[] Publication(ZoneIndex zone, LedgerKey signer, byte[] record) => new SubnamePublication(zone.Index, signer.Id, SubnamePublication.GrantOf(Key("alice"), zone.Index, 0, signer.Id, _host.State.Network), record).ToBytes();

    // zoned.loki is alice's, stands for Address, and delegates.
    private async Task<(ZoneIndex Zone, LedgerKey Signer)> DelegateAsync()
    {
        LedgerKey signer = Key("signer");
        ZoneIndex zone = ZoneIndex.Of("zoned.loki", NameType.Lokinet, _host.State.Network);
        byte[] value = ZoneContent.Seal(zone, Key("alice"), 0, 0, 0, [ZoneRecord.Address(Address), new ZoneRecord(ZoneRecordKind.Delegation, signer.Id.ToArray())], _host.State.Network, new byte[24]);
        var reveal = new ZoneRevealBody(NameType.Lokinet, zone.LengthClass, 1, zone.Blind, Key("alice").Id, null, value, default);
        await DoAsync(_host, "alice", new ZoneCommitBody(reveal.Commitment(Key("alice").Id, _host.State.Network), 28 * TestLedger.Oxen));
        await DoAsync(_host, "bob", new TransferBody(Key("carol").Id, 1));
        await DoAsync(_host, "alice", reveal);
        await SignTipAsync(_host);
        return (zone, signer);
    }

    private static async Task<LedgerHost> OpenAsync(string name, LedgerRules? rules = null)
    {
        Genesis genesis = Genesis.Create(name, (ulong)DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), rules ?? LedgerRules.Quick with { TermBlocks1 = 1000 }, Committee.Of(Founders.Select(f => f.Id)), new[] { "alice", "bob" }.Select(n => KeyValuePair.Create(Key(n).Id, 10_000 * TestLedger.Oxen)));
        return await LedgerHost.OpenAsync(new MemorySequencer(), genesis);
    }

    private static Task BuyAsync(LedgerHost host, string name, byte[] address) => DoAsync(host, "alice", Buy(name, 2, "alice", value: ValueCipher.Encrypt(address, name, new byte[24])));

    private static async Task DoAsync(LedgerHost host, string signer, OperationBody body)
    {
        Receipt receipt = await host.SubmitAsync(Operation.Create(body, Key(signer), host.State.Account(Key(signer).Id).Nonce, host.State.Network));
        Assert.Null(receipt.Refusal);
    }

    private static async Task SignTipAsync(LedgerHost host, params string[] more)
    {
        ulong height = host.State.Height;
        BlockHeader header = host.HeaderAt(height)!;
        foreach (LedgerKey member in Founders.Concat(more.Select(Key))) await host.SignAsync(height, member.Id, HeaderSignatures.Sign(header, member, host.State.Network));
    }

    private LightNameSource Names(params Relay[] relays)
    {
        Genesis genesis = relays[0].Host.State.Genesis;
        return new LightNameSource(LightClient.From(genesis), [.. relays.Select((r, i) => Source(r, i))], new LightNameOptions { Patience = TimeSpan.FromSeconds(relays.Any(r => r.Lie == "silent") ? 0.2 : 60) }, TimeProvider.System);
    }

    private static PathProofSource Source(Relay relay, int path) => new(relay, path, relay.Host.State.Network);

    /// <summary>The far end of a path, with an honest ledger and a lie to tell.</summary>
    private sealed class Relay(LedgerHost host) : IPathRequests
    {
        public LedgerHost Host => host;

        public string Lie { get; init; } = "";

        public ulong Height { get; init; }

        /// <summary>What it gives for every name below a zone.</summary>
        public byte[]? Below { get; set; }

        public int Asked { get; private set; }

        public List<(int Question, int Answer)> Sizes { get; } = [];

        public async Task<PathResponse> AskAsync(int path, string method, ReadOnlyMemory<byte> body, int mostBytes, CancellationToken cancel)
        {
            Asked++;
            if (Lie == "silent") await Task.Delay(Timeout.Infinite, cancel);
            if (Lie == "broken") throw new IOException("cut");
            if (Lie == "no ledger") return new PathResponse(ResponseCode.UnknownMethod, default);
            byte[] answer = method == ProofWire.WayMethod ? await WayAsync(body) : method == ProofWire.SubnameMethod ? Subname(body) : await ResolveAsync(body);
            Sizes.Add((body.Length, answer.Length));
            Assert.Equal(mostBytes, answer.Length);
            return new PathResponse(ResponseCode.Ok, answer);
        }

        private async Task<byte[]> WayAsync(ReadOnlyMemory<byte> body)
        {
            Assert.True(ProofWire.ReadWayQuestion(body.Span, out _, out ulong height, out Bytes32 committee));
            return ProofWire.WayAnswer(await new ProofServer(host).WayAsync(height, host.CommitteeOf(committee)!));
        }

        private byte[] Subname(ReadOnlyMemory<byte> body)
        {
            Assert.True(ProofWire.ReadQuestion(body.Span, out Bytes32 network, out Bytes32 zone, out Bytes32 lookup));
            Assert.Equal(host.State.Network, network);
            return ProofWire.SubnameAnswer(Lie == "withheld" ? null : Below ?? host.Subnames.Find(zone, lookup));
        }

        private async Task<byte[]> ResolveAsync(ReadOnlyMemory<byte> body)
        {
            Assert.True(ProofWire.ReadQuestion(body.Span, out Bytes32 network, out Bytes32 zone, out Bytes32 name));
            Assert.Equal(host.State.Network, network);
            LedgerState state = Lie == "stale" ? host.StateAt(Height)! : (await host.LatestSignedAsync())!.Value.State;
            BlockHeader header = host.HeaderAt(state.Height)!;
            HeaderSignatures signatures = (await host.SignaturesAtAsync(state.Height)).Least(state.Committee.Quorum);
            SparseTree tree = state.Tree, without = tree.Remove(name);
            switch (Lie)
            {
                case "forged":
                    var entry = (NameEntry)tree.Find(name)!;
                    SparseTree forged = tree.Set(name, entry with { Value = ValueCipher.Encrypt(Key("thief").Id.ToArray(), "hello.loki", new byte[24]) });
                    return ProofWire.Answer(header, signatures, tree.Prove(zone), forged.Prove(name))!;
                case "unsigned":
                    BlockHeader made = header with { StateRoot = without.Root };
                    return ProofWire.Answer(made, signatures, without.Prove(zone), without.Prove(name))!;
                case "strangers":
                    LedgerKey[] strangers = [.. Enumerable.Range(0, 4).Select(i => Key($"stranger {i}"))];
                    Committee theirs = Committee.Of(strangers.Select(s => s.Id));
                    BlockHeader own = header with { StateRoot = without.Root, Committee = theirs.Hash, NextCommittee = theirs.Hash };
                    return ProofWire.Answer(own, strangers.Aggregate(HeaderSignatures.None, (s, k) => s.With((byte)theirs.IndexOf(k.Id), HeaderSignatures.Sign(own, k, network))), without.Prove(zone), without.Prove(name))!;
                case "absent":
                    return ProofWire.Answer(header, signatures, without.Prove(zone), without.Prove(name))!;
                case "other name":
                    return ProofWire.Answer(header, signatures, tree.Prove(zone), tree.Prove(AccountEntry.Key(Key("alice").Id)))!;
                case "garbage":
                    return [.. Enumerable.Range(0, ProofWire.ResolveAnswerBytes).Select(i => (byte)(i * 7))];
                case "other network":
                    return ProofWire.Padded(ProofStatus.OtherNetwork, ProofWire.ResolveAnswerBytes);
                case "nothing signed":
                    return ProofWire.Padded(ProofStatus.NothingSigned, ProofWire.ResolveAnswerBytes);
                case "old":
                    BlockHeader past = header with { UnixMilliseconds = 1_700_000_000_000 };
                    return ProofWire.Answer(past, Founders.Aggregate(HeaderSignatures.None, (s, k) => s.With((byte)state.Committee.IndexOf(k.Id), HeaderSignatures.Sign(past, k, network))), tree.Prove(zone), tree.Prove(name))!;
                default:
                    return ProofWire.Answer(header, signatures, tree.Prove(zone), tree.Prove(name))!;
            }
        }
    }
}
