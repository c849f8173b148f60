namespace Oxen.Swarm.Tests;

public class NamespaceRulesTests
{
    //           number   inbox  outbox store retrieve revoked     the numbers that clients use, and the ends of the range
    [Theory]
    [InlineData(0, true, false, false, true, false)]
    [InlineData(2, false, false, true, true, false)]
    [InlineData(5, false, false, true, true, false)]
    [InlineData(10, true, false, false, true, false)]
    [InlineData(11, false, false, true, true, false)]
    [InlineData(21, false, false, true, true, false)]
    [InlineData(111, false, false, true, true, false)]
    [InlineData(-1, false, true, true, false, false)]
    [InlineData(-10, true, false, false, false, false)]
    [InlineData(-11, false, false, true, true, true)]
    [InlineData(-20, true, false, false, true, false)]
    [InlineData(-21, false, true, true, false, false)]
    [InlineData(-31, false, false, true, true, false)]
    [InlineData(-41, false, true, true, false, false)]
    [InlineData(-111, false, false, true, true, true)]
    [InlineData(short.MaxValue, false, false, true, true, false)]
    [InlineData(short.MinValue, false, false, true, true, false)]
    public void Arithmetic_decides_what_a_namespace_allows(short space, bool inbox, bool outbox, bool storeSigned, bool retrieveSigned, bool revoked)
    {
        Assert.Equal(inbox, NamespaceRules.IsPublicInbox(space));
        Assert.Equal(outbox, NamespaceRules.IsPublicOutbox(space));
        Assert.Equal(storeSigned, NamespaceRules.StoreNeedsSignature(space));
        Assert.Equal(retrieveSigned, NamespaceRules.RetrieveNeedsSignature(space));
        Assert.Equal(revoked, NamespaceRules.RevokedMayRetrieve(space));
    }

    [Fact]
    public void No_namespace_is_both_an_inbox_and_an_outbox()
    {
        for (int space = short.MinValue; space <= short.MaxValue; space++)
            Assert.False(NamespaceRules.IsPublicInbox((short)space) && NamespaceRules.IsPublicOutbox((short)space));
    }
}
