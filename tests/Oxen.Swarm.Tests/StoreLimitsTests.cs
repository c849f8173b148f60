namespace Oxen.Swarm.Tests;

public class StoreLimitsTests
{
    private const long Now = 1_700_000_000_000;
    private const long Second = 1000;
    private const long Day = 86_400 * Second;

    [Theory]
    [InlineData(0, 10 * Second, StoreFault.None)]
    [InlineData(0, 10 * Second - 1, StoreFault.Lifetime)]
    [InlineData(0, 14 * Day, StoreFault.None)]
    [InlineData(0, 14 * Day + 1, StoreFault.Lifetime)]
    [InlineData(-10, 14 * Day + 1, StoreFault.Lifetime)]
    [InlineData(5, 14 * Day + 1, StoreFault.None)]
    [InlineData(5, 30 * Day, StoreFault.None)]
    [InlineData(-1, 30 * Day + 1, StoreFault.Lifetime)]
    [InlineData(5, -1, StoreFault.Lifetime)]
    public void A_message_lives_ten_seconds_to_fourteen_days_in_an_inbox_and_to_thirty_elsewhere(short space, long lifetime, StoreFault fault)
        => Assert.Equal(fault, StoreLimits.Check(1, space, Now, Now + lifetime, Now));

    [Theory]
    [InlineData(10 * Second, Day, StoreFault.None)]
    [InlineData(10 * Second + 1, Day, StoreFault.Clock)]
    [InlineData(-20 * Second, 10 * Second, StoreFault.None)]
    [InlineData(-20 * Second - 1, 10 * Second, StoreFault.Clock)]
    [InlineData(-30 * Day, 30 * Day, StoreFault.None)]
    public void A_clock_may_be_off_by_ten_seconds(long sentAfterNow, long lifetime, StoreFault fault)
        => Assert.Equal(fault, StoreLimits.Check(1, 5, Now + sentAfterNow, Now + sentAfterNow + lifetime, Now));

    [Fact]
    public void Data_has_at_most_76800_bytes()
    {
        Assert.Equal(StoreFault.None, StoreLimits.Check(76_800, 0, Now, Now + Day, Now));
        Assert.Equal(StoreFault.TooLarge, StoreLimits.Check(76_801, 0, Now, Now + Day, Now));
    }

    [Theory]
    [InlineData(long.MinValue, long.MaxValue)]
    [InlineData(long.MaxValue, long.MinValue)]
    [InlineData(long.MinValue, long.MinValue)]
    [InlineData(long.MaxValue, long.MaxValue)]
    public void Times_at_the_ends_of_the_range_are_refused_like_others(long timestamp, long expiry)
        => Assert.Equal(StoreFault.Lifetime, StoreLimits.Check(0, 5, timestamp, expiry, Now));

    [Fact]
    public void Faults_are_the_status_codes_of_the_storage_interface()
        => Assert.Equal([0, 400, 403, 406], Enum.GetValues<StoreFault>().Select(f => (int)f).Order());
}
