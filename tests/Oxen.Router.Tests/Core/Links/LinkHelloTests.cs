using Oxen.Router.Core.Links;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Links;

public sealed class LinkHelloTests
{
    private static readonly byte[] Proof = [.. Enumerable.Range(1, 32).Select(i => (byte)i)];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Open_is_read_as_it_was_written(bool proof)
    {
        byte[] message = Open(proof);
        Assert.Equal((byte)LinkMessageType.Open, message[0]);
        Assert.Equal(message.Length - 3, (message[1] << 8) | message[2]);
        Assert.True(LinkHello.TryParseOpen(message.AsSpan(3), out LinkHello read, out byte version));
        Assert.Equal(LinkHello.Version, version);
        Assert.Equal(5, read.Shards);
        Assert.Equal(0x0123456789ABCDEFUL, read.UnixMilliseconds);
        Assert.Equal([3, 1], read.Suites);
        Assert.Equal(proof ? Proof : [], read.Proof);
    }

    [Fact]
    public void Accept_is_read_as_it_was_written()
    {
        byte[] message = Accept([7, 8, 9, 10, 11, 12]);
        Assert.True(LinkHello.TryParseAccept(message.AsSpan(3), ownShards: 2, out LinkHello read));
        Assert.Equal(3, read.Shards);
        Assert.Equal([2], read.Suites);
        Assert.Equal([7u, 8, 9, 10, 11, 12], read.Indexes);
        Assert.Equal(Proof, read.Proof);
    }

    [Fact]
    public void No_shorter_and_no_longer_message_is_read()
    {
        byte[] open = Open(proof: true), accept = Accept([7, 8, 9, 10, 11, 12]), ready = LinkHello.ToReady([1, 2])[3..];
        for (int length = 0; length < open.Length - 3; length++) Assert.False(LinkHello.TryParseOpen(open.AsSpan(3, length), out _, out _));
        for (int length = 0; length < accept.Length - 3; length++) Assert.False(LinkHello.TryParseAccept(accept.AsSpan(3, length), 2, out _));
        for (int length = 0; length < ready.Length; length++) Assert.False(LinkHello.TryParseReady(ready.AsSpan(0, length), 2, out _));
        Assert.False(LinkHello.TryParseOpen([.. open.AsSpan(3), 0], out _, out _));
        Assert.False(LinkHello.TryParseAccept([.. accept.AsSpan(3), 0], 2, out _));
        Assert.False(LinkHello.TryParseReady([.. ready, 0], 2, out _));
    }

    [Fact]
    public void Fields_out_of_their_range_are_refused()
    {
        Assert.True(Reads(0, 1));
        Assert.False(Reads(0, 2));      // version
        Assert.False(Reads(1, 0));      // no shards
        Assert.False(Reads(1, 65));     // too many
        Assert.False(Reads(10, 0));     // no suites
        Assert.False(Reads(10, 17));    // too many
        Assert.False(Reads(13, 31));    // a proof of another length

        static bool Reads(int at, byte value)
        {
            byte[] body = Open(proof: true)[3..];
            body[at] = value;
            return LinkHello.TryParseOpen(body, out _, out _);
        }
    }

    [Fact]
    public void An_index_of_zero_or_a_wrong_number_of_indexes_is_refused()
    {
        Assert.False(LinkHello.TryParseAccept(Accept([7, 8, 0, 10, 11, 12]).AsSpan(3), 2, out _));
        Assert.False(LinkHello.TryParseAccept(Accept([7, 8, 9]).AsSpan(3), 2, out _));
        Assert.False(LinkHello.TryParseReady(LinkHello.ToReady([1, 0]).AsSpan(3), 2, out _));
        Assert.False(LinkHello.TryParseReady(LinkHello.ToReady([1]).AsSpan(3), 2, out _));
        Assert.True(LinkHello.TryParseReady(LinkHello.ToReady([1, 2]).AsSpan(3), 2, out uint[] indexes));
        Assert.Equal([1u, 2], indexes);
    }

    private static byte[] Open(bool proof) => new LinkHello { Shards = 5, UnixMilliseconds = 0x0123456789ABCDEF, Suites = [3, 1], Proof = proof ? Proof : [] }.ToOpen();

    private static byte[] Accept(uint[] indexes) => new LinkHello { Shards = 3, UnixMilliseconds = 1, Suites = [2], Proof = Proof, Indexes = indexes }.ToAccept();
}
