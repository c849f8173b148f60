using Oxen.Ons.Ledger;
using Oxen.Ons.Resolving;
using Oxen.Router.Hosting;
using Oxen.Router.Transport;

namespace Oxen.Ons;

/// <summary>Short names of the ledger for a router inside of a program.</summary>
public static class OxenNames
{
    /// <summary>
    /// `hello.loki` is looked up through onion paths, at relays that have a copy of the ledger: they do not learn who asks, and what they
    /// answer, that there is no such name too, is believed only with a proof that begins at this genesis.
    /// </summary>
    /// <param name="options">Of the router.</param>
    /// <param name="genesisFile">The ledger's genesis, as `oxen ledger genesis` writes it; it comes another way than the answers do.</param>
    /// <param name="maxAge">A relay whose newest signed block is older is not believed; null: 30 minutes.</param>
    /// <returns>`options`.</returns>
    /// <exception cref="OxenException">The file cannot be read, or is no genesis.</exception>
    public static OxenClientOptions UseNames(this OxenClientOptions options, string genesisFile, TimeSpan? maxAge = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentException.ThrowIfNullOrEmpty(genesisFile);
        Genesis genesis = Read(Path.GetFullPath(genesisFile));
        options.Names = requests => LightNames.OverPaths(genesis, requests, maxAge ?? LightNames.MaxAge, TimeProvider.System);
        return options;
    }

    private static Genesis Read(string file)
    {
        try
        {
            Genesis? read = new FileInfo(file).Length > Genesis.MaxBytes ? null : Genesis.Read(File.ReadAllBytes(file));
            return read ?? throw new OxenException("OXN2004", $"{file} is no genesis of a ledger", "`oxen ledger genesis` makes one; whoever runs the network hands it out.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OxenException("OXN2004", $"{file} cannot be read: {e.Message}", "Name the ledger's genesis, which whoever runs the network hands out.", e);
        }
    }
}
