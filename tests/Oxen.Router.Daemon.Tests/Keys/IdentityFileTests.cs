using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Tests.Keys;

public sealed class IdentityFileTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("oxen-test-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private string Write(Func<string, string> change)
    {
        (string path, _) = IdentityFile.Create(Path.Combine(_directory, Guid.NewGuid().ToString("N")), IdentityFile.RelayRole);
        File.WriteAllText(path, change(File.ReadAllText(path)));
        return path;
    }

    private static OxenException Refused(string path) => Assert.Throws<OxenException>(() => IdentityFile.Load(path, out _).Dispose());

    [Theory]
    [InlineData(UnixFileMode.GroupRead)]
    [InlineData(UnixFileMode.OtherRead)]
    [InlineData(UnixFileMode.OtherWrite)]
    public void An_open_file_is_refused_with_the_command_that_closes_it(UnixFileMode more)
    {
        string path = Write(t => t);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | more);
        OxenException e = Refused(path);
        Assert.Equal(("OXN4002", 4), (e.Code, ExitCode.Of(e)));
        Assert.Contains($"chmod 600 {path}", e.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_damaged_file_is_called_by_what_is_wrong_with_it()
    {
        foreach ((Func<string, string> change, string words) in new (Func<string, string>, string)[]
        {
            (_ => "", "begin"),
            (t => t[..60], "missing"),
            (t => t[..^2] + "\n", "seed is not"),
            (t => t.Replace("relay", "king", StringComparison.Ordinal), "role"),
            (t => t + "x", "follows"),
            (t => t + new string('x', 1100), "more than"),
            (t => t.Replace("seed: ", "seed: zz", StringComparison.Ordinal), "seed is not"),
            (t => { int at = t.IndexOf("seed: ", StringComparison.Ordinal) + 6; return t[..at] + (t[at] == '0' ? '1' : '0') + t[(at + 1)..]; }, "does not belong"),
        })
        {
            OxenException e = Refused(Write(change));
            Assert.Equal("OXN4003", e.Code);
            Assert.Contains(words, e.Message, StringComparison.Ordinal);
            Assert.Contains("keygen", e.Remedy, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_missing_file_names_the_verb_that_makes_one() => Assert.Equal("OXN4001", Refused(Path.Combine(_directory, "none")).Code);
}
