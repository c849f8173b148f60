using System.Text;

namespace Oxen.Swarm.Tests;

public class MessageHashTests
{
    private const string Person = "054701d08488451f545a409fb58ae3e58581ca40ac3f7f114698cd71deac73ca01";
    private const string Group = "0303a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

    // A message of 347 bytes: session-storage-server, unit_test/service_node.cpp
    private const string LongMessage =
        "CAES1gIKA1BVVBIPL2FwaS92MS9tZXNzYWdlGrsCCAYovfqZv4YvQq8CVwutUBbhRzZw80TvR6uTYMKg9DSagrtpeEpY31L7VxawfS8aSya0SiDa4J025SkjP13Y"
        + "X8g5pxgQ8Z6hgfNArMqr/tSijJ9miVKVDJ63YWE85O8kyWF8tdtZR5j0Vxb+JH5U8Rg1bp7ftKk3OSf7JJMcrUUrDnctQHe540zJ2OTDJ03DfubkX5NmKqEu5nhX"
        + "GxeeDv3mTiL63fjtCvZYcikfjf6Nh1AX++HTgJ9SGoEIMastGUorFrmmXb2sbjHxNiJn0Radj/VzcA9VxYwBW5+AbGQ2d9+vvm7X+8vh+jIenJfjxf+8CWER+9ad"
        + "Nfb4YUH07I+godNCV0O0J05gzqfKdT7J8MBZzFBtKrbk8oCagPpTsq/wZyYFKFKKD+q+zh704dYBILvs5yXUA96pIAA=";

    [Theory]
    [InlineData(0, "4sMyAuaZlMwww3oFvfhazfw7ASx/7TDtO+TVc8aAjHs")]
    [InlineData(42, "OByVojQzLXCPV2NnOOZHGQSvLD5+YqDkngDnNHqG6JA")] // derived from the rules, as the next
    [InlineData(-11, "H0A6V4AfTsxOBhVIvKhiv8BThkMgBErlqMEgpaPmwgM")]
    public void The_hash_of_a_published_message(short space, string hash)
    {
        byte[] data = Convert.FromBase64String(LongMessage);
        Assert.Equal(347, data.Length);
        Assert.Equal(hash, MessageHash.Of(data, Account("05ffba630924aa1224bb930dde21c0d11bf004608f2812217f8ac812d6c7e3ad48"), space));
    }

    // Derived from the rules with another implementation of BLAKE2b.
    [Theory]
    [InlineData("hello swarm", Person, 0, "GOmyEcW5eC9jC6dNtysS9/Il1e30Vp3Z1z/Fiwab2A8")]
    [InlineData("second", Person, 0, "FYVS1wh5HS4e5Y/20ih4GDunSHqcPNc+HLzLXrP4H6k")]
    [InlineData("hello swarm", Person, 5, "qeUUmRxxHnUxIsWvCMArvFIP06I9oJzuyzDlQ7HILtA")]
    [InlineData("hello swarm", Person, -11, "vqUDgiO+R7DbQvb03RG4I+V9qV73SjBhGuYs6JaRjhA")]
    [InlineData("hello swarm", Group, 0, "cxXcL1oV6VfPMk78T8Jcq0kpkEqJLBBddQry0sMtKVk")]
    public void Account_namespace_and_data_make_the_hash(string data, string account, short space, string hash)
        => Assert.Equal(hash, MessageHash.Of(Encoding.ASCII.GetBytes(data), Account(account), space));

    [Fact]
    public void Every_namespace_and_size_has_a_hash_of_43_characters()
    {
        foreach (short space in new short[] { short.MinValue, -1, 0, 1, short.MaxValue })
        {
            Assert.Equal(MessageHash.Length, MessageHash.Of([], Account(Person), space).Length);
            Assert.Equal(MessageHash.Length, MessageHash.Of(new byte[StoreLimits.MaxDataBytes], Account(Person), space).Length);
        }
    }

    private static AccountId Account(string text) => AccountId.TryParse(text, false, out AccountId account) ? account : throw new ArgumentException(text);
}
