using System.Net;
using System.Numerics;
using Oxen.Router.Core;
using Oxen.Router.Exit;
using Oxen.Testing;

namespace Oxen.Router.Tests.Exit;

public sealed class ExitPolicyTests
{
    private static readonly ExitPolicy Default = new(ExitPolicy.DefaultRules.Select(ExitRule.Parse), own: [IPAddress.Parse("8.7.6.5"), IPAddress.Parse("2600::5")]);

    private static bool Allows(ExitPolicy policy, string address, int port = 80, string protocol = "tcp") =>
        policy.Allows(UdpAddress.From(new IPEndPoint(IPAddress.Parse(address), port)), protocol == "tcp" ? ExitProtocol.Tcp : ExitProtocol.Udp);

    [Theory]
    [InlineData("1.1.1.1")]
    [InlineData("8.8.8.8")]
    [InlineData("172.15.255.255")]
    [InlineData("172.32.0.0")]
    [InlineData("100.63.255.255")]
    [InlineData("100.128.0.0")]
    [InlineData("2606:4700::1111")]
    [InlineData("2002:101:101::1")] // 6to4 of 1.1.1.1
    [InlineData("64:ff9b::1.1.1.1")]
    public void A_public_address_is_reached(string address) => Assert.True(Allows(Default, address));

    [Theory]
    [InlineData("0.0.0.0")]
    [InlineData("0.1.2.3")]
    [InlineData("10.0.0.1")]
    [InlineData("100.64.0.1")]
    [InlineData("100.127.255.255")]
    [InlineData("127.0.0.1")]
    [InlineData("127.255.255.254")]
    [InlineData("169.254.169.254")]
    [InlineData("172.16.0.1")]
    [InlineData("172.31.255.255")]
    [InlineData("192.0.0.1")]
    [InlineData("192.0.2.1")]
    [InlineData("192.168.255.1")]
    [InlineData("198.18.0.1")]
    [InlineData("198.19.255.255")]
    [InlineData("203.0.113.9")]
    [InlineData("224.0.0.251")]
    [InlineData("239.255.255.250")]
    [InlineData("240.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("8.7.6.5")] // own
    [InlineData("2600::5")] // own
    [InlineData("::")]
    [InlineData("::1")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("::ffff:169.254.169.254")]
    [InlineData("::ffff:8.7.6.5")]
    [InlineData("::10.0.0.1")]
    [InlineData("64:ff9b::10.0.0.1")]
    [InlineData("64:ff9b::8.7.6.5")]
    [InlineData("64:ff9b:1::1.1.1.1")]
    [InlineData("2002:a00:1::1")] // 6to4 of 10.0.0.1
    [InlineData("2002:7f00:1::1")]
    [InlineData("2606::5efe:192.168.0.1")] // ISATAP
    [InlineData("2606::200:5efe:192.168.0.1")]
    [InlineData("2001::1")] // Teredo
    [InlineData("2001:db8::1")]
    [InlineData("100::1")]
    [InlineData("fc00::1")]
    [InlineData("fd00:ec2::254")]
    [InlineData("fe80::1")]
    [InlineData("fec0::1")]
    [InlineData("ff02::1")]
    public void What_no_exit_reaches_is_refused_by_tcp_and_udp(string address)
    {
        Assert.False(Allows(Default, address));
        Assert.False(Allows(Default, address, 53, "udp"));
    }

    [Fact]
    public void Mail_is_refused_unless_a_rule_allows_it()
    {
        Assert.False(Allows(Default, "1.1.1.1", 25));
        Assert.False(Allows(Default, "64:ff9b::1.1.1.1", 25));
        Assert.True(Allows(new ExitPolicy([ExitRule.Parse("allow *:*")]), "1.1.1.1", 25));
    }

    [Fact]
    public void The_first_rule_that_matches_decides_and_what_none_matches_is_refused()
    {
        var policy = new ExitPolicy([ExitRule.Parse("deny 1.2.3.0/24:80"), ExitRule.Parse("allow 1.2.0.0/16:80,8000-8999 tcp"), ExitRule.Parse("allow [2600::/16]:* udp")]);
        Assert.False(Allows(policy, "1.2.3.4"));
        Assert.True(Allows(policy, "1.2.4.4"));
        Assert.True(Allows(policy, "1.2.3.4", 8500));
        Assert.False(Allows(policy, "1.2.4.4", 80, "udp"));
        Assert.False(Allows(policy, "1.2.4.4", 9000));
        Assert.True(Allows(policy, "2600::1", 53, "udp"));
        Assert.False(Allows(policy, "2600::1", 53));
        Assert.False(Allows(policy, "9.9.9.9"));
    }

    [Fact]
    public void Only_an_exception_reaches_a_private_address()
    {
        var policy = new ExitPolicy([ExitRule.Parse("allow 10.0.0.0/8:*")], [ExitRule.Parse("allow 10.9.9.9:8080 tcp")]);
        Assert.False(Allows(policy, "10.0.0.1"));
        Assert.True(Allows(policy, "10.9.9.9", 8080));
        Assert.False(Allows(policy, "10.9.9.9", 8080, "udp"));
        Assert.False(Allows(policy, "10.9.9.9"));
    }

    [Theory]
    [InlineData("", 0)]
    [InlineData("permit *:*", 0)]
    [InlineData("allow", 5)]
    [InlineData("allow *", 7)]
    [InlineData("allow *:0", 8)]
    [InlineData("allow *:80,", 11)]
    [InlineData("allow *:80-70", 11)]
    [InlineData("allow *:80 icmp", 11)]
    [InlineData("allow *:80 tcp now", 15)]
    [InlineData("deny 10.1.0.0/8:*", 5)]
    [InlineData("deny 10.0.0.0/33:*", 14)]
    [InlineData("deny 10.0.0/8:*", 5)]
    [InlineData("deny [fc00::/7:*", 5)]
    [InlineData("deny fc00::/7:*", 5)]
    [InlineData("deny [::ffff:1.2.3.4]:*", 6)]
    [InlineData("deny example.com:80", 5)]
    public void A_wrong_rule_says_where_it_is_wrong(string text, int position)
    {
        Assert.False(ExitRule.TryParse(text, out _, out RuleError error));
        Assert.Equal(position, error.Position);
        Assert.NotEmpty(error.Message);
    }

    [Fact]
    public void Random_rules_and_addresses_are_judged_as_by_a_slow_evaluator_of_other_arithmetic()
    {
        var dice = new SeededEntropy(0xE817);
        for (int round = 0; round < 300; round++)
        {
            var rules = new List<(bool Allow, string Host, int Length, int From, int To, string Protocol, string Text)>();
            for (int i = dice.Next(6); i >= 0; i--)
            {
                bool v6 = dice.Next(2) == 0;
                int length = dice.Next(10) == 0 ? 0 : 16 + dice.Next(v6 ? 30 : 17);
                byte[] bytes = Bytes(dice, v6);
                for (int bit = length; bit < bytes.Length * 8; bit++) bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
                string host = new IPAddress(bytes).ToString();
                int from = 1 + dice.Next(5), to = from + dice.Next(3);
                string protocol = new[] { "", " tcp", " udp" }[dice.Next(3)];
                bool allow = dice.Next(2) == 0;
                rules.Add((allow, host, length, from, to, protocol, $"{(allow ? "allow" : "deny")} {(v6 ? $"[{host}/{length}]" : $"{host}/{length}")}:{from}-{to}{protocol}"));
            }

            var policy = new ExitPolicy(rules.Select(r => ExitRule.Parse(r.Text)));
            for (int probe = 0; probe < 20; probe++)
            {
                var address = new IPAddress(Bytes(dice, dice.Next(2) == 0));
                int port = 1 + dice.Next(8);
                string protocol = dice.Next(2) == 0 ? "tcp" : "udp";
                bool expected = rules.Where(r => port >= r.From && port <= r.To && (r.Protocol.Length == 0 || r.Protocol == " " + protocol) && Within(address, IPAddress.Parse(r.Host), r.Length)).Select(r => (bool?)r.Allow).FirstOrDefault() ?? false;
                Assert.True(expected == Allows(policy, address.ToString(), port, protocol), $"round {round}: {address} {port} {protocol} under {string.Join("; ", rules.Select(r => r.Text))}");
            }
        }
    }

    // Few values, so that rules and addresses meet; all of them public and without embedded addresses.
    private static byte[] Bytes(SeededEntropy dice, bool v6)
    {
        byte[] bytes = new byte[v6 ? 16 : 4];
        for (int i = 0; i < bytes.Length; i++) bytes[i] = (byte)dice.Next(2);
        bytes[0] = v6 ? (byte)0x26 : (byte)0x08;
        return bytes;
    }

    private static bool Within(IPAddress address, IPAddress prefix, int length)
    {
        byte[] a = address.GetAddressBytes(), p = prefix.GetAddressBytes();
        if (a.Length != p.Length) return false;
        int shift = a.Length * 8 - length;
        return new BigInteger(a, isUnsigned: true, isBigEndian: true) >> shift == new BigInteger(p, isUnsigned: true, isBigEndian: true) >> shift;
    }
}
