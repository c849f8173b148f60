using System.Text;
using Oxen.Router.Client;

namespace Oxen.Router.Tests.Client;

public sealed class HttpBodyTests
{
    [Theory]
    [InlineData("0\r\n\r\n")]
    [InlineData("5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("5;a=b\r\nhello\r\n00\r\n\r\n")]
    [InlineData("A \r\n0123456789\r\n1\r\nx\r\n0\r\nTrailer: yes\r\nAnother: one\r\n\r\n")]
    public void A_chunked_body_ends_where_it_says_however_it_is_cut(string body)
    {
        byte[] bytes = Encoding.ASCII.GetBytes(body + "GET / HTTP/1.1\r\n");
        for (int cut = 1; cut <= bytes.Length; cut++)
        {
            var parser = new HttpBody(HttpBodyKind.Chunked, 0);
            int taken = 0;
            for (int at = 0; at < bytes.Length && !parser.IsDone; at += cut) taken += parser.Take(bytes.AsSpan(at, Math.Min(cut, bytes.Length - at)));
            Assert.True(parser.IsDone);
            Assert.Equal(body.Length, taken);
        }
    }

    [Theory]
    [InlineData("\r\n")]
    [InlineData("g\r\n")]
    [InlineData("-1\r\n")]
    [InlineData("0x5\r\nhello")]
    [InlineData("5\nhello\r\n")]
    [InlineData("5\r\nhelloX")]
    [InlineData("5\r\nhello\rX")]
    [InlineData("5;\n")]
    [InlineData("0\r\nA: b\n")]
    [InlineData("0\r\n\rX")]
    [InlineData("1234567890ABCDEF\r\n")]
    public void What_two_readers_might_read_differently_is_broken(string body)
    {
        var parser = new HttpBody(HttpBodyKind.Chunked, 0);
        int taken = parser.Take(Encoding.ASCII.GetBytes(body + new string('x', 100)));
        Assert.True(parser.IsBroken);
        Assert.True(taken < body.Length + 1);
        Assert.Equal(0, parser.Take([1, 2, 3]));
    }

    [Fact]
    public void Lines_that_never_end_are_broken()
    {
        foreach (string start in new[] { "5;", "0\r\n" })
        {
            var parser = new HttpBody(HttpBodyKind.Chunked, 0);
            parser.Take(Encoding.ASCII.GetBytes(start));
            for (int i = 0; i < 10_000 && !parser.IsBroken; i++) parser.Take("x"u8);
            Assert.True(parser.IsBroken);
        }
    }

    [Fact]
    public void A_counted_body_takes_exactly_its_bytes()
    {
        var parser = new HttpBody(HttpBodyKind.Length, 10);
        Assert.Equal(7, parser.Take(new byte[7]));
        Assert.False(parser.IsDone);
        Assert.Equal(3, parser.Take(new byte[7]));
        Assert.True(parser.IsDone);
        Assert.True(new HttpBody(HttpBodyKind.Length, 0).IsDone);
        Assert.True(new HttpBody(HttpBodyKind.None, 0).IsDone);
    }
}
