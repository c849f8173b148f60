using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Client;

namespace Oxen.Router.Tests.Client;

public sealed class SocketDuplexTests
{
    private static (SocketDuplex Near, SocketDuplex Far) Pair()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        near.Connect(listener.LocalEndPoint!);
        return (new SocketDuplex(near), new SocketDuplex(listener.Accept()));
    }

    private static async Task<byte[]> ReadAllAsync(PipeReader input)
    {
        var all = new MemoryStream();
        await input.CopyToAsync(all).WaitAsync(TimeSpan.FromSeconds(20));
        return all.ToArray();
    }

    [Fact]
    public async Task Completing_the_output_ends_one_half_and_the_other_goes_on()
    {
        (SocketDuplex near, SocketDuplex far) = Pair();
        using (near)
        using (far)
        {
            byte[] question = new byte[500_000];
            Random.Shared.NextBytes(question);
            Task<byte[]> heard = ReadAllAsync(far.Input);
            await near.Output.WriteAsync(question);
            await near.Output.CompleteAsync();
            Assert.Equal(question, await heard);
            await far.Output.WriteAsync(new byte[] { 1, 2, 3 });
            await far.Output.CompleteAsync();
            byte[] answer = await ReadAllAsync(near.Input);
            Assert.Equal<byte>([1, 2, 3], answer);
        }
    }

    [Fact]
    public async Task An_abort_is_a_reset_for_the_other_end()
    {
        (SocketDuplex near, SocketDuplex far) = Pair();
        using (far)
        {
            near.Abort();
            near.Abort();
            await Assert.ThrowsAnyAsync<IOException>(() => ReadAllAsync(far.Input));
        }
    }
}
