using System.Net;
using System.Security.Cryptography;
using Oxen.Ons;
using Oxen.Ons.Ledger;
using Oxen.Ons.Nodes;
using Oxen.Ons.Proofs;
using Oxen.Ons.Resolving;
using Oxen.Ons.Rpc;
using Oxen.Ons.Sequencing;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Names;

namespace Oxen.Router.Daemon.Demo;

/// <summary>
/// The demo's private ledger: SQLite in a directory of its own that goes with the demo, the routers registered as service nodes, and a
/// name. It opens while the network comes up.
/// </summary>
internal sealed class DemoLedger : IAsyncDisposable
{
    public const string Name = "hello.loki";

    private const ulong Money = 1_000_000 * OxenAmount.Oxen;
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(5);

    private readonly string _directory = Directory.CreateTempSubdirectory("oxen-demo-ledger-").FullName;
    private readonly LedgerKey _founder = New(), _operator = New(), _service = New();
    private readonly List<LedgerKey> _nodes = [];
    private readonly List<NodeProver> _provers = [];
    private readonly CancellationTokenSource _stop = new();
    private LedgerHost? _host;
    private BlockSigner? _signer;
    private RpcServer? _rpc;
    private ulong _nonce;

    private readonly TaskCompletionSource<LedgerHost> _opening = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _work = Task.CompletedTask;

    public DemoLedger()
    {
        Genesis = Genesis.Create("oxen-demo", (ulong)DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), LedgerRules.Default, Committee.Of([_founder.Id]), [KeyValuePair.Create(_operator.Id, Money)]);
        Plugin = new OnsPlugin(Opening);
        Address = _service.Id.ToArray();
    }

    public Genesis Genesis { get; }

    /// <summary>The ledger, once it stands.</summary>
    public Task<LedgerHost> Opening => _opening.Task;

    /// <summary>What the routers answer look-ups with.</summary>
    public OnsPlugin Plugin { get; }

    /// <summary>What <see cref="Name"/> stands for: an address of a hidden service.</summary>
    public ReadOnlyMemory<byte> Address { get; private set; }

    public Uri Rpc => _rpc!.Address;

    /// <summary>Opens it, on threads of the pool; <see cref="Opening"/> tells when. Call once.</summary>
    public Task BeginAsync()
    {
        _work = Task.Run(OpenAsync);
        return Opening;
    }

    /// <summary>Registers the routers as service nodes with their whole stakes, and buys a name. Done when all of it is durable and signed.</summary>
    public async Task FillAsync(IReadOnlyList<(RouterIdentity Identity, IPEndPoint Address)> routers, string name, ReadOnlyMemory<byte>? address, CancellationToken cancel)
    {
        Address = address ?? Address;
        LedgerHost host = await Opening.WaitAsync(cancel).ConfigureAwait(false);
        var sent = new List<Task<Receipt>>();
        foreach ((RouterIdentity identity, _) in routers)
        {
            var node = new LedgerKey(identity.Seed);
            _nodes.Add(node);
            sent.Add(SendAsync(host, nonce => new NodeRegisterBody(node.Id, 0, host.State.Rules.StakeRequirement, [], []).SignedBy(node, _operator.Id, nonce, Genesis.Network), cancel));
        }

        byte[] stored = ValueCipher.Encrypt(Address.Span, name, RandomNumberGenerator.GetBytes(ValueCipher.NonceBytes));
        var payload = new NamePayload { RawType = (ushort)NameType.Lokinet, Hash = NameHash.Of(name), Owner = NameOwner.Of(_operator.Id), Value = stored };
        sent.Add(SendAsync(host, _ => new NameBody(NamePrices.Price((int)NameType.Lokinet, NamePrices.LatestHardFork)!.Value, payload), cancel));
        foreach (Receipt receipt in await Task.WhenAll(sent).ConfigureAwait(false))
        {
            if (receipt.Refusal is { } refusal) throw new InvalidOperationException($"the demo's own ledger refuses an operation: {refusal}");
        }

        using var signed = new SemaphoreSlim(0);
        Action<ulong> onSigned = _ => signed.Release();
        host.Signed += onSigned;
        try
        {
            _signer = new BlockSigner(host, [_founder, .. _nodes], new SigningJournal(null));
            while (await host.LatestSignedAsync(cancel).ConfigureAwait(false) is null) await signed.WaitAsync(cancel).ConfigureAwait(false);
        }
        finally
        {
            host.Signed -= onSigned;
        }

        for (int i = 0; i < routers.Count; i++)
        {
            NodeFacts facts = LedgerEnd.FactsOf(routers[i].Address);
            var prover = new NodeProver(host, _nodes[i], () => facts, TimeProvider.System);
            _provers.Add(prover);
            prover.Start();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        foreach (NodeProver prover in _provers) await prover.DisposeAsync().ConfigureAwait(false);
        await _work.ConfigureAwait(false);
        if (_rpc is not null) await _rpc.DisposeAsync().ConfigureAwait(false);
        _signer?.Dispose();
        if (_host is not null) await _host.DisposeAsync().ConfigureAwait(false);
        _opening.TrySetCanceled();

        foreach (LedgerKey key in _nodes.Append(_founder).Append(_operator).Append(_service)) key.Dispose();
        _stop.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private static LedgerKey New()
    {
        byte[] seed = RandomNumberGenerator.GetBytes(LedgerSignature.SeedBytes);
        var key = new LedgerKey(seed);
        CryptographicOperations.ZeroMemory(seed);
        return key;
    }

    private async Task OpenAsync()
    {
        try
        {
            _host = await LedgerHost.OpenAsync(SqliteSequencer.Open(Path.Combine(_directory, "ledger.db")), Genesis, new LedgerHostOptions { Heartbeat = Heartbeat }, cancel: _stop.Token).ConfigureAwait(false);
            _rpc = await RpcServer.StartAsync(new LedgerRpc(_host), new IPEndPoint(IPAddress.Loopback, 0), _stop.Token).ConfigureAwait(false);
            _opening.TrySetResult(_host);
        }
        catch (Exception e)
        {
            _opening.TrySetException(e);
        }
    }

    private Task<Receipt> SendAsync(LedgerHost host, Func<ulong, OperationBody> body, CancellationToken cancel)
    {
        ulong nonce = _nonce++;
        return host.SubmitAsync(Operation.Create(body(nonce), _operator, nonce, Genesis.Network), cancel);
    }
}
