using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Router.Hosting.Files;
using Oxen.Router.Daemon.Contacts;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Tests.Keys;

/// <summary>What a router writes down for its next start: the onion key before the current one, guards, and reads of the operator's table.</summary>
public sealed class StateFileTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("oxen-test-").FullName;
    private readonly List<string> _troubles = [];

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private string At(string name) => Path.Combine(_directory, name);

    private static byte[] Seed(byte first)
    {
        byte[] seed = new byte[OnionKeyPair.SeedBytes];
        Array.Fill(seed, first);
        return seed;
    }

    [Fact]
    public void A_rotation_keeps_the_key_before_for_a_day_and_wipes_the_seed_that_it_was_given()
    {
        OnionKeyFile.Create(_directory);
        using OnionKeyPair first = OnionKeyFile.Load(At("onion.key"));
        byte[] seed = Seed(7);
        OnionKeyFile.Rotate(At("onion.key"), seed);
        Assert.All(seed, b => Assert.Equal(0, b));
        DateTimeOffset now = DateTimeOffset.UtcNow;
        (OnionKeyPair current, OnionKeyPair? previous, TimeSpan age) = OnionKeyFile.LoadRing(At("onion.key"), now);
        Assert.NotEqual(first.Id, current.Id);
        Assert.Equal(first.Id, previous!.Id);
        Assert.InRange(age, TimeSpan.Zero, TimeSpan.FromMinutes(1));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(At("onion.key")));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(OnionKeyFile.PreviousOf(At("onion.key"))));
        current.Dispose();
        previous.Dispose();

        (current, previous, age) = OnionKeyFile.LoadRing(At("onion.key"), now + TimeSpan.FromHours(30));
        Assert.Null(previous);
        Assert.False(File.Exists(OnionKeyFile.PreviousOf(At("onion.key"))));
        Assert.InRange(age, TimeSpan.FromHours(29), TimeSpan.FromHours(31));
        current.Dispose();
    }

    [Fact]
    public void A_rotation_that_was_cut_short_is_finished_at_the_next_start()
    {
        OnionKeyFile.Write(At("onion.key.new"), Seed(9));
        using var expected = new OnionKeyPair(Seed(9));
        (OnionKeyPair current, OnionKeyPair? previous, _) = OnionKeyFile.LoadRing(At("onion.key"), DateTimeOffset.UtcNow);
        Assert.Equal(expected.Id, current.Id);
        Assert.Null(previous);
        Assert.True(File.Exists(At("onion.key")));
        current.Dispose();

        // And what was left over of one that never counted does not stop the next.
        OnionKeyFile.Write(At("onion.key.new"), Seed(10));
        OnionKeyFile.Rotate(At("onion.key"), Seed(11));
        using var last = new OnionKeyPair(Seed(11));
        using OnionKeyPair read = OnionKeyFile.Load(At("onion.key"));
        Assert.Equal(last.Id, read.Id);
    }

    [Fact]
    public void Guards_are_read_as_they_were_written_by_their_owner_alone()
    {
        var file = new GuardFile(At("state/guards.json"), _troubles.Add);
        Assert.Empty(file.Load());
        GuardRecord[] guards = [new(Router(1), 100, 200, 0, 0), new(Router(2), 101, 201, 150, 160)];
        file.Save(guards);
        file.Flush();
        Assert.Equal(guards, new GuardFile(At("state/guards.json"), _troubles.Add).Load());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(At("state/guards.json")));
        Assert.Empty(_troubles);
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("[{\"router\": \"zz\"}]")]
    [InlineData("[null]")]
    public void A_damaged_file_of_guards_is_put_aside_and_told(string text)
    {
        File.WriteAllText(At("guards.json"), text);
        Assert.Empty(new GuardFile(At("guards.json"), _troubles.Add).Load());
        Assert.Contains("new ones are drawn", Assert.Single(_troubles), StringComparison.Ordinal);
        Assert.False(File.Exists(At("guards.json")));
        Assert.Equal(text, File.ReadAllText(At("guards.json.damaged")));
    }

    [Fact]
    public void A_wrong_line_of_the_table_of_networks_is_named()
    {
        File.WriteAllText(At("networks.csv"), "# table\n192.0.2.0/24,64500,de\n\nnonsense\n");
        UserException e = Assert.Throws<UserException>(() => NetworkFile.Read(At("networks.csv")));
        Assert.Contains("line 4", e.Message, StringComparison.Ordinal);
        File.WriteAllText(At("networks.csv"), "# table\n192.0.2.0/24,64500,de\n");
        Assert.Equal(1, NetworkFile.Read(At("networks.csv")).Count);
    }

    private static RouterId Router(byte number)
    {
        byte[] id = new byte[RouterId.Bytes];
        id[0] = number;
        return new RouterId(id);
    }
}
