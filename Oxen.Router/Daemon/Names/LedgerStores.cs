using Oxen.Ons.Ledger;
using Oxen.Ons.Sequencing;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Names;

/// <summary>Opens what a ledger is made of by the words of a configuration or command line.</summary>
internal static class LedgerStores
{
    public const string Forms = "sqlite:FILE, etcd:URL[,URL] or postgresql:CONNECTION";

    /// <exception cref="UserException">The file is not there, or no genesis.</exception>
    public static Genesis ReadGenesis(string path)
    {
        try
        {
            if (new FileInfo(path).Length > Genesis.MaxBytes) throw LedgerConnection.Misuse($"{path} is no genesis", "It is too long.");
            return Genesis.Read(File.ReadAllBytes(path)) ?? throw LedgerConnection.Misuse($"{path} is no genesis", "`oxen ledger genesis` makes one.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OxenException.FileTrouble(path, e.Message, e);
        }
    }

    /// <summary>A secret key of an account's or of a relay's file.</summary>
    /// <exception cref="UserException">The file is not there, open to others, or damaged.</exception>
    public static LedgerKey LoadKey(string path)
    {
        if (!IdentityFile.Is(path)) return AccountFile.Load(path);
        using RouterIdentity identity = IdentityFile.Load(path, IdentityFile.RelayRole);
        return new LedgerKey(identity.Seed);
    }

    /// <summary>Opens a store by its word, such as `sqlite:ledger.db`.</summary>
    /// <exception cref="UserException">It is no store, or cannot be opened.</exception>
    public static async Task<IBlockSequencer> OpenAsync(string store, Genesis genesis, CancellationToken cancel)
    {
        string[] parts = store.Split(':', 2);
        if (parts.Length == 2)
        {
            try
            {
                switch (parts[0])
                {
                    case "sqlite":
                        return SqliteSequencer.Open(parts[1]);
                    case "etcd" when parts[1].Split(',') is var members && members.All(m => Uri.TryCreate(m, UriKind.Absolute, out _)):
                        return new EtcdSequencer([.. members.Select(m => new Uri(m.EndsWith('/') ? m : m + "/"))], "/oxen/" + genesis.Network);
                    case "postgresql":
                        return await PostgresSequencer.OpenAsync(parts[1], genesis.Network.ToString(), cancel).ConfigureAwait(false);
                }
            }
            catch (Exception e) when (e is System.Data.Common.DbException or ArgumentException)
            {
                throw new UserException(ExitCode.Environment, "OXN6007", $"{store} cannot be opened: {e.Message}", parts[0] == "sqlite" ? "Its directory must be there, and who runs this must be allowed to write it." : $"{Forms}; the server must run and take connections.", e);
            }
        }

        throw LedgerConnection.Misuse($"{store} is no store", $"{Forms}.");
    }

    /// <summary>Opens a ledger over a store; the store is the ledger's from here on.</summary>
    /// <exception cref="UserException">The store holds another ledger, or is not reached.</exception>
    public static async Task<LedgerHost> OpenHostAsync(string store, Genesis genesis, LedgerHostOptions options, TimeProvider time, CancellationToken cancel)
    {
        IBlockSequencer opened = await OpenAsync(store, genesis, cancel).ConfigureAwait(false);
        try
        {
            return await AskAsync(store, opened, () => LedgerHost.OpenAsync(opened, genesis, options, time, cancel)).ConfigureAwait(false);
        }
        catch
        {
            await opened.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Work with a store, whose troubles are told in words.</summary>
    /// <exception cref="UserException">The store holds another ledger, or is not reached.</exception>
    public static async Task<T> AskAsync<T>(string store, IBlockSequencer opened, Func<Task<T>> work)
    {
        try
        {
            return await work().ConfigureAwait(false);
        }
        catch (InvalidDataException e)
        {
            throw new UserException(ExitCode.Environment, "OXN6007", $"{store}: {e.Message}", "Give the store's own genesis, or another store.", e);
        }
        catch (Exception e) when (e is IOException or HttpRequestException or System.Data.Common.DbException)
        {
            throw new UserException(ExitCode.Environment, "OXN6007", $"{store} is not reached: {e.Message}", opened.Remedy, e);
        }
    }
}
