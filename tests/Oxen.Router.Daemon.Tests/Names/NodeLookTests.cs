using System.Net;
using Oxen.Ons.Ledger;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Names;

namespace Oxen.Router.Daemon.Tests.Names;

/// <summary>What a member of the committee sees of a node: its router, then its storage.</summary>
public sealed class NodeLookTests
{
    private static readonly CancellationToken Cancel = TestContext.Current.CancellationToken;
    private static readonly byte[] Node = [.. Enumerable.Repeat((byte)7, 32)];

    private readonly List<(RouterId Router, UdpAddress Address)> _asked = [];
    private bool _answers = true;

    [Fact]
    public async Task Storage_counts_as_the_last_test_of_it_said()
    {
        NodeLook look = Look();
        Assert.Equal(NodeReasons.None, await look.TestAsync(Entry(Node), Cancel)); // never tested: nothing is known against it
        look.NoteStorage(Node, reached: false);
        Assert.Equal(NodeReasons.StorageUnreachable, await look.TestAsync(Entry(Node), Cancel));
        Assert.Equal(NodeReasons.None, await look.TestAsync(Entry([.. Enumerable.Repeat((byte)8, 32)]), Cancel)); // another node's is its own
        look.NoteStorage(Node, reached: true);
        Assert.Equal(NodeReasons.None, await look.TestAsync(Entry(Node), Cancel));
    }

    [Fact]
    public async Task A_router_that_is_silent_is_the_one_reason_whatever_its_storage_does()
    {
        NodeLook look = Look();
        _answers = false;
        look.NoteStorage(Node, reached: true);
        Assert.Equal(NodeReasons.LokinetUnreachable, await look.TestAsync(Entry(Node), Cancel));
        look.NoteStorage(Node, reached: false);
        Assert.Equal(NodeReasons.LokinetUnreachable, await look.TestAsync(Entry(Node), Cancel));
        _answers = true;
        Assert.Equal(NodeReasons.StorageUnreachable, await look.TestAsync(Entry(Node), Cancel));
    }

    [Fact]
    public async Task The_router_is_asked_where_its_last_proof_says_or_where_its_contact_says()
    {
        NodeLook look = Look();
        await look.TestAsync(Entry(Node) with { Facts = LedgerEnd.FactsOf(new IPEndPoint(IPAddress.Parse("127.1.2.3"), 4567), storage: 22021) }, Cancel);
        await look.TestAsync(Entry(Node), Cancel);
        Assert.Equal([(new RouterId(Node), UdpAddress.From(new IPEndPoint(IPAddress.Parse("127.1.2.3"), 4567))), (new RouterId(Node), default)], _asked);
    }

    private static NodeEntry Entry(byte[] node) => new() { Id = new Bytes32(node), Contributions = [], Fee = 0, RegistrationHeight = 1 };

    private NodeLook Look() => new((router, address, _) =>
    {
        _asked.Add((router, address));
        return Task.FromResult(_answers);
    });
}
