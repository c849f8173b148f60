using Oxen.Ons.Ledger;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Tests.Ledger;

namespace Oxen.Ons.Tests.Sequencing;

public sealed class SigningJournalTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("oxen-journal").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void No_height_is_signed_twice_also_after_a_restart()
    {
        string file = Path.Combine(_directory, "signed");
        Bytes32 first = TestLedger.Key("a").Id, second = TestLedger.Key("b").Id;
        foreach (bool restart in new[] { false, true })
        {
            var journal = new SigningJournal(file);
            Assert.True(journal.MaySign(10, first));
            Assert.True(journal.MaySign(10, first)); // the same once more is no harm
            Assert.False(journal.MaySign(10, second));
            Assert.False(journal.MaySign(9, second));
        }

        Assert.True(new SigningJournal(file).MaySign(11, second));
        Assert.False(new SigningJournal(file).MaySign(10, first));
    }

    [Fact]
    public void What_is_no_journal_stops_the_signing()
    {
        string file = Path.Combine(_directory, "signed");
        File.WriteAllBytes(file, [1, 2, 3]);
        Assert.Throws<InvalidDataException>(() => new SigningJournal(file));
    }
}
