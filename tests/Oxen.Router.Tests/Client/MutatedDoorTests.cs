using System.Text;
using Microsoft.AspNetCore.Connections;
using Oxen.Testing;

namespace Oxen.Router.Tests.Client;

/// <summary>Whole doors against programs that speak nonsense: each connection ends, none throws.</summary>
public sealed class MutatedDoorTests
{
    private static readonly byte[] Socks = [5, 2, 0, 2, 1, 1, 97, 1, 98, 5, 1, 0, 3, 11, .. "example.org"u8, 1, 187, 1, 2, 3, 4];
    private static readonly byte[] Associate = [5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0];
    private static readonly byte[] Get = Encoding.ASCII.GetBytes("GET http://example.org/a HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3\r\n\r\nabc");
    private static readonly byte[] Connect = Encoding.ASCII.GetBytes("CONNECT example.org:443 HTTP/1.1\r\nProxy-Authorization: Basic YTpi\r\n\r\nhello");

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Mutated_and_cut_conversations_end_without_an_exception(bool socks)
    {
        var random = new SeededEntropy(socks ? 1ul : 2ul);
        FakeOnion onion = FakeOnion.WithExit();
        byte[][] good = socks ? [Socks, Associate] : [Get, Connect];
        for (int i = 0; i < 2000; i++)
        {
            byte[] bytes = [.. good[i & 1]];
            for (int n = random.Next(4); n > 0; n--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            if (random.Next(2) == 0) bytes = bytes[..random.Next(bytes.Length + 1)];
            ConnectionHandler handler = socks ? DoorFixture.Socks(onion) : DoorFixture.Http(onion);
            var door = new DoorFixture(handler);
            int half = random.Next(bytes.Length + 1);
            await door.SendAsync(bytes[..half]);
            await Task.Yield();
            await door.SendAsync(bytes[half..]);
            await door.Output.CompleteAsync();
            await door.ReceiveAllAsync();
            await door.EndAsync();
        }
    }
}
