"""Word lists for ``make_corpus.py``: names and their parts, verbs, nouns, parts of speech.

A list is one string of words divided by white space; ``_`` stands for a space inside
an entry. Where the order matters it says so: the head of such a list is drawn most.
"""

from __future__ import annotations

from typing import NamedTuple


def words(text: str) -> tuple[str, ...]:
    """The entries of a word list, ``_`` turned into spaces, each kept once."""
    return tuple(dict.fromkeys(word.replace("_", " ") for word in text.split()))


class Country(NamedTuple):
    """A country with the words for what and who comes from it."""

    name: str
    adjective: str
    people: str
    cities: tuple[str, ...]


class Culture(NamedTuple):
    """What the names of one part of the world are made of.

    Surnames and places grow from the same ``roots``, so that a name's beginning says
    little and its end, or only the context, says more.
    """

    weight: int
    countries: tuple[Country, ...]
    first_names: tuple[str, ...]
    roots: tuple[str, ...]
    surname_ends: tuple[str, ...]
    place_ends: tuple[str, ...]


def _countries(table: str) -> tuple[Country, ...]:
    """Read ``name | adjective | people | cities`` lines."""
    rows = [
        [cell.strip() for cell in line.split("|")] for line in table.splitlines() if line.strip()
    ]
    return tuple(Country(a, b, c, words(d)) for a, b, c, d in rows)


# --- names by culture (first names: the order matters) -----------------------------------

CULTURES = {
    "anglo": Culture(
        26,
        _countries("""
            U.S. | American | Americans | Washington Lincoln Jackson Chicago Boston Houston Austin
            United States | American | Americans | New_York Los_Angeles Dallas Madison Charlotte
            Britain | British | Britons | London Chelsea Manchester Leeds Lancaster Warwick York
            Australia | Australian | Australians | Sydney Adelaide Darwin Perth Brisbane
            Canada | Canadian | Canadians | Ottawa Toronto Vancouver Hamilton Kingston
            Ireland | Irish | Irishmen | Dublin Cork Galway Limerick
            New Zealand | New Zealand | New Zealanders | Wellington Auckland Nelson Christchurch
            Scotland | Scottish | Scots | Glasgow Edinburgh Aberdeen Stirling
            Jamaica | Jamaican | Jamaicans | Kingston Montego_Bay
            South Africa | South African | South Africans | Pretoria Durban Johannesburg Cape_Town
        """),
        words("""
            John David Mary James Robert Linda Peter Susan Michael Paul Karen Thomas Helen Mark
            Andrew George Carol Stephen Alice Edward Laura Simon Katrina Rita Wilma Dennis Emily
            Jordan Chelsea Sydney Florence Victoria Charlotte Georgia Adelaide Madison Austin Chad
            April June May Summer Dean Grant Frank Mark Rose Grace Hope Joy Will Bill Drew Pat Sue
            Gordon Russell Warren Lincoln Nelson Kent Dallas Clifford Marjorie Deborah Vernon
        """),
        words("""
            Har Ash Brad Thorn Whit Kings Aldr Wool Cald Lang Mar Stan Hart Wyn Den Elm Raven Sher
            Black Green Nor Sut Hol Pem Clay Dray Hazel Fair Lock Win Ches Bram Tor Cran Red Old
        """),
        words("well ley ton ford field wood worth man son more croft den by ridge burn"),
        words(
            "well ley ton ford field wood worth bury ham mouth pool bridge stead port burn ridge"
        ),
    ),
    "hispanic": Culture(
        14,
        _countries("""
            Mexico | Mexican | Mexicans | Guadalajara Monterrey Mérida León Mexico_City
            Spain | Spanish | Spaniards | Madrid Barcelona Valencia Toledo Córdoba Bilbao Málaga
            Colombia | Colombian | Colombians | Bogotá Cali Medellín Pasto
            Venezuela | Venezuelan | Venezuelans | Caracas Maracaibo Trujillo
            Argentina | Argentine | Argentines | Buenos_Aires Rosario Mendoza Salta
            Cuba | Cuban | Cubans | Havana Santiago Holguín
            Chile | Chilean | Chileans | Santiago Concepción Valdivia
            Peru | Peruvian | Peruvians | Lima Cusco Trujillo Arequipa
            Bolivia | Bolivian | Bolivians | La_Paz Sucre Potosí
            Ecuador | Ecuadorean | Ecuadoreans | Quito Guayaquil Cuenca
            Honduras | Honduran | Hondurans | Tegucigalpa San_Pedro_Sula
            Paraguay | Paraguayan | Paraguayans | Asunción Encarnación
            Nicaragua | Nicaraguan | Nicaraguans | Managua León
            Guatemala | Guatemalan | Guatemalans | Guatemala_City Quetzaltenango
        """),
        words("""
            José María Juan Carlos Ana Luis Carmen Miguel Pedro Rosa Jorge Lucía Álvaro Elena Rafael
            Santiago Mercedes Dolores Rosario Fernando Beatriz Andrés Iñigo Salvador Israel Consuelo
            Raúl Ximena Gonzalo Pilar Esteban Marisol
        """),
        words("""
            Mor Vald Qui Cast Bel Mont Sol Ver Sal Tor Mar Olmed Cerv Lar Pal Nav Ped Ros Gall
            Huert Alm Cab Ur Itur Sant Peñ Ald Cort
        """),
        words("ales ez ero illo oza ado ín era és ando eñas urri ares ona al"),
        words("al ares ona illa ueva ales anca oso uela ar ena uquén itos án"),
    ),
    "lusophone": Culture(
        5,
        _countries("""
            Brazil | Brazilian | Brazilians | Brasilia São_Paulo Recife Salvador Natal
            Portugal | Portuguese | Portuguese | Lisbon Porto Braga Coimbra
            Angola | Angolan | Angolans | Luanda Huambo Benguela
            Mozambique | Mozambican | Mozambicans | Maputo Beira Nampula
            East Timor | Timorese | Timorese | Dili Baucau
        """),
        words("""
            João Ana Paulo Teresa António Inês Rui Beatriz Nuno Catarina Tiago Sónia Gilberto Luísa
            Caetano Vitória
        """),
        words("Mour Silv Ferr Carv Olive Barr Camp Teix Pinh Font Rib Alv Seix Brag Card Lob"),
        words("eira inho ão elha ais oso edo ães anço ela ova al"),
        words("eiro ais ópolis inhos ela al ova arém ães ema"),
    ),
    "french": Culture(
        9,
        _countries("""
            France | French | Frenchmen | Paris Lyon Toulouse Nantes Lille Orange Tours Nice
            Belgium | Belgian | Belgians | Brussels Ghent Liège Antwerp
            Haiti | Haitian | Haitians | Port-au-Prince Gonaïves Jacmel
            Senegal | Senegalese | Senegalese | Dakar Thiès
            Ivory Coast | Ivorian | Ivorians | Abidjan Bouaké
            Niger | Nigerien | Nigeriens | Niamey Agadez
            Cameroon | Cameroonian | Cameroonians | Yaoundé Douala
            Luxembourg | Luxembourg | Luxembourgers | Differdange
            Mali | Malian | Malians | Bamako Gao Timbuktu
        """),
        words("""
            Jean Marie Pierre Sophie François Claire Michel Hélène André Sylvie Céline Benoît
            Florence Étienne Odile Gérard Agnès Luc Margaux Thierry Paris
        """),
        words(
            "Beau Mont Char Du Laf Ver Mar Gir Ross Bell Clair Bois Cham Roch Per Fleur Gar Vill"
        ),
        words("ier eau ard et aud in ot ault elle ois ontaine mont court ville"),
        words("ville court mont ac ers igny eux ans ières bourg"),
    ),
    "german": Culture(
        7,
        _countries("""
            Germany | German | Germans | Berlin Hamburg Munich Essen Bremen Cologne Göttingen
            Austria | Austrian | Austrians | Vienna Graz Linz Salzburg
            Switzerland | Swiss | Swiss | Geneva Zürich Basel Bern
            Netherlands | Dutch | Dutchmen | Amsterdam Rotterdam Utrecht The_Hague
            Liechtenstein | Liechtenstein | Liechtensteiners | Vaduz
        """),
        words("""
            Hans Anna Klaus Petra Jürgen Ursula Wolfgang Sabine Dieter Heike Günther Lena Matthias
            Ingrid Rüdiger Käthe Otto Greta Willem Saskia
        """),
        words(
            "Stein Berg Hof Schön Alt Neu Wald Grün Ober Rosen Wein Königs Linden Kalt Brück Falk"
        ),
        words("mann er inger hardt meier bach feld ecker hauer heim au burg"),
        words("burg dorf heim bach stadt au hausen feld furt ingen walde"),
    ),
    "italian": Culture(
        5,
        _countries("""
            Italy | Italian | Italians | Rome Milan Turin Modena Verona Siena Naples Parma
            Malta | Maltese | Maltese | Valletta Mdina
            Vatican City | Vatican | Romans | Vatican_City
        """),
        words("Marco Giulia Paolo Francesca Luca Chiara Andrea Silvia Bruno Elisa Fiorella Siena"),
        words("Ross Bian Mont Fer Mar Castell Gal Ver Pell Cor Bonfi Tard Carr Lomb"),
        words("etti ini ardo oni ese ucci ella anti aro iglio ano ara etta"),
        words("ano ara ino avalle etta aglia ovara ona ellano"),
    ),
    "nordic": Culture(
        6,
        _countries("""
            Sweden | Swedish | Swedes | Stockholm Uppsala Göteborg Malmö
            Norway | Norwegian | Norwegians | Oslo Bergen Tromsø
            Denmark | Danish | Danes | Copenhagen Aarhus Odense
            Finland | Finnish | Finns | Helsinki Turku Tampere
            Iceland | Icelandic | Icelanders | Reykjavik Akureyri
            Greenland | Greenlandic | Greenlanders | Nuuk
        """),
        words("""
            Lars Ingrid Erik Karin Søren Astrid Björn Liv Magnus Sigrid Jørgen Maja Olav Freja
            Håkan Åsa Tove
        """),
        words("Lind Berg Sund Hag Strand Nor Ek Hol Åke Grøn Dal Vik Bjørk Ulf Thor Heg"),
        words("sen sson ström gren qvist dahl lund mark vall stad holm borg vik"),
        words("vik stad holm havn borg sund ö fjord næs ås køping"),
    ),
    "slavic": Culture(
        15,
        _countries("""
            Russia | Russian | Russians | Moscow Kazan Omsk Tula Samara Perm
            Ukraine | Ukrainian | Ukrainians | Kiev Odessa Lviv Poltava
            Poland | Polish | Poles | Warsaw Gdansk Lublin Krakow
            Serbia | Serbian | Serbs | Belgrade Novi_Sad Niš
            Georgia | Georgian | Georgians | Tbilisi Gori Batumi
            Bosnia | Bosnian | Bosnians | Sarajevo Mostar Tuzla
            Bulgaria | Bulgarian | Bulgarians | Sofia Varna Plovdiv
            Croatia | Croatian | Croats | Zagreb Split Zadar
            Belarus | Belarusian | Belarusians | Minsk Brest Gomel
            Czech Republic | Czech | Czechs | Prague Brno Pilsen
            Slovakia | Slovak | Slovaks | Bratislava Košice
            Slovenia | Slovenian | Slovenians | Ljubljana Maribor
            Macedonia | Macedonian | Macedonians | Skopje Ohrid
            Moldova | Moldovan | Moldovans | Chisinau Tiraspol
            Lithuania | Lithuanian | Lithuanians | Vilnius Kaunas
            Latvia | Latvian | Latvians | Riga Daugavpils
            Estonia | Estonian | Estonians | Tallinn Tartu
            Hungary | Hungarian | Hungarians | Budapest Szeged
            Romania | Romanian | Romanians | Bucharest Cluj
        """),
        words("""
            Ivan Olga Viktor Natalia Sergei Irina Boris Svetlana Mikhail Elena Pavel Jana Dragan
            Milan Zoran Sofia Bogdan Ludmila Marek Vesna Anton Tatiana Yuri Galina Radovan
        """),
        words("""
            Vol Kar Pet Bor Nov Drag Sok Mil Zel Kuz Rad Bel Gor Mor Star Lip Var Yas Krem Tur
            Ost Grab Vin Chern
        """),
        words("ov ev enko ski ic in sky ovich chuk ak ayev any ava nik"),
        words("ovo grad sk any itsa ansk ov evo ava nik opol"),
    ),
    "arabic": Culture(
        20,
        _countries("""
            Iraq | Iraqi | Iraqis | Baghdad Basra Mosul Karbala Fallujah
            Egypt | Egyptian | Egyptians | Cairo Alexandria Luxor Suez
            Syria | Syrian | Syrians | Damascus Aleppo Homs
            Lebanon | Lebanese | Lebanese | Beirut Tripoli Sidon
            Jordan | Jordanian | Jordanians | Amman Aqaba Irbid
            Saudi Arabia | Saudi | Saudis | Riyadh Jeddah Mecca Medina
            Yemen | Yemeni | Yemenis | Sanaa Aden Taiz
            Sudan | Sudanese | Sudanese | Khartoum Omdurman
            Libya | Libyan | Libyans | Tripoli Benghazi
            Algeria | Algerian | Algerians | Algiers Oran
            Morocco | Moroccan | Moroccans | Rabat Casablanca Fez
            Tunisia | Tunisian | Tunisians | Tunis Sfax
            Kuwait | Kuwaiti | Kuwaitis | Kuwait_City
            Qatar | Qatari | Qataris | Doha
            Bahrain | Bahraini | Bahrainis | Manama
            Oman | Omani | Omanis | Muscat Salalah
            Somalia | Somali | Somalis | Mogadishu Kismayo
            Chad | Chadian | Chadians | Abeche
            Mauritania | Mauritanian | Mauritanians | Nouakchott
        """),
        words("""
            Mohammed Ahmed Fatima Ali Hassan Omar Layla Khalid Ibrahim Amina Yusuf Tariq Samir Nadia
            Mustafa Salim Rania Karim Jamal Abdullah Walid Huda Faisal
        """),
        words("""
            Har Sab Raf Kass Mus Jab Tik Zub Naj Mahm Sal Bad Hus Rash Daw Qas Tal Mans Fal Jum
        """),
        words("awi ani i our id an ari oud awy ef aidi ayn alah iya ar"),
        words("iya ah bayt ain alah iyeh oun ar abiya our"),
    ),
    "eastern mediterranean": Culture(
        5,
        _countries("""
            Israel | Israeli | Israelis | Jerusalem Haifa Tel_Aviv Eilat
            Cyprus | Cypriot | Cypriots | Nicosia Limassol
            Greece | Greek | Greeks | Athens Corinth Patras
            Armenia | Armenian | Armenians | Yerevan Gyumri
        """),
        words("Avi Tamar Moshe Ruth Yossi Dina Eitan Nikos Eleni Kostas Aram Anahit Yael Stavros"),
        words("Pap Kar Bar Shal Kon Ged Ter Mess Az Lev Kyr Sark"),
        words("adis opoulos akis yan ian om oulay ides on ini ora os"),
        words("os onika ion avan ikos eron ora ini assos"),
    ),
    "turkic": Culture(
        15,
        _countries("""
            Iran | Iranian | Iranians | Tehran Isfahan Shiraz Tabriz
            Afghanistan | Afghan | Afghans | Kabul Kandahar Herat
            Turkey | Turkish | Turks | Ankara Istanbul Izmir Batman
            Uzbekistan | Uzbek | Uzbeks | Tashkent Samarkand
            Kyrgyzstan | Kyrgyz | Kyrgyz | Bishkek Osh
            Kazakhstan | Kazakh | Kazakhs | Almaty Astana
            Azerbaijan | Azeri | Azeris | Baku Ganja
            Tajikistan | Tajik | Tajiks | Dushanbe
            Turkmenistan | Turkmen | Turkmens | Ashgabat
            Mongolia | Mongolian | Mongolians | Ulan_Bator
        """),
        words("""
            Hamid Leyla Reza Ayten Mahmoud Zeynep Nasrin Emre Gul Rustam Farid Shirin Timur Bahar
            Kemal Aziz Parviz Yildiz
        """),
        words("Rah Kar Ham Gol Yil Far Dem Shir Naz Ar Tok Bal Mir Sar Tash Qul Alt Üz Çel"),
        words("mani zadeh oglu pour yev baev dogan ian khel iri dar dagh tau lar"),
        words("abad kent shahr pinar lar dagh eran hisar tau istan"),
    ),
    "south asian": Culture(
        13,
        _countries("""
            Pakistan | Pakistani | Pakistanis | Islamabad Karachi Lahore Quetta Peshawar
            India | Indian | Indians | Delhi Mumbai Chennai Kochi Jaipur
            Nepal | Nepalese | Nepalese | Kathmandu Pokhara
            Bangladesh | Bangladeshi | Bangladeshis | Dhaka Sylhet
            Sri Lanka | Sri Lankan | Sri Lankans | Colombo Kandy Jaffna
            Bhutan | Bhutanese | Bhutanese | Thimphu
            Maldives | Maldivian | Maldivians | Male
        """),
        words("""
            Arjun Priya Rajesh Sunita Imran Asha Vikram Meena Anil Lakshmi Sanjay Kavita Tariq Ravi
            Deepa Nawaz Salma Mohan Indira
        """),
        words("Ran Dev Kuma Chan Sing Raj Meh Bha Var Gup Nar Pat Mal Sur Khan Jay Gan Ram"),
        words("wal ra ekar ji adi atty apur asinghe ani ota nath wara kot pur"),
        words("pur abad nagar garh kot ganj patnam wara halli gaon"),
    ),
    "east asian": Culture(
        14,
        _countries("""
            China | Chinese | Chinese | Beijing Shanghai Wuhan Harbin Nanjing Chengdu
            Japan | Japanese | Japanese | Tokyo Osaka Nagoya Sendai Kobe
            North Korea | North Korean | North Koreans | Pyongyang Wonsan Sinuiju
            South Korea | South Korean | South Koreans | Seoul Busan Daegu
            Taiwan | Taiwanese | Taiwanese | Taipei Kaohsiung
            Singapore | Singaporean | Singaporeans | Singapore
            Vietnam | Vietnamese | Vietnamese | Hanoi Hue Da_Nang
        """),
        words("""
            Wei Yuki Hiroshi Mei Jun Akira Li Hana Kenji Sung-ho Min Noriko Tao Ji-won Takeshi Xiu
            Soo-jin Hong Bao Linh
        """),
        words(
            "Naka Yama Fuji Koba Taka Shin Zhou Liang Guan Chen Wang Hira Mura Kwang Song Miya Dong"
        ),
        words("moto da shi mura hara zawa no guchi yama kou shan yang"),
        words("shi ji zhou shan gawa hai ju yang kou saki dong"),
    ),
    "southeast asian": Culture(
        8,
        _countries("""
            Indonesia | Indonesian | Indonesians | Jakarta Bandung Medan Surabaya
            Philippines | Philippine | Filipinos | Manila Cebu Davao
            Burma | Burmese | Burmese | Rangoon Mandalay
            Thailand | Thai | Thais | Bangkok Phuket Pattani
            Malaysia | Malaysian | Malaysians | Penang Ipoh
            Cambodia | Cambodian | Cambodians | Phnom_Penh
            Laos | Laotian | Laotians | Vientiane
            Fiji | Fijian | Fijians | Suva
        """),
        words("""
            Budi Siti Agus Dewi Somchai Malee Thida Aung Rizal Corazon Ratna Made Nyein Arroyo Wayan
            Sokha Niran
        """),
        words("Sur Wid Har Bam Sath Sit Man Pra Kya Jaya Mag Bul Sok Tan Lum Ban"),
        words("ono anto adi aporn sak ingan olo atno yut asena tani buri cari"),
        words("buri karta bang wadi gan tani thani laya ngan cari"),
    ),
    "african": Culture(
        11,
        _countries("""
            Nigeria | Nigerian | Nigerians | Lagos Abuja Kano Jos
            Kenya | Kenyan | Kenyans | Nairobi Mombasa Kisumu
            Ethiopia | Ethiopian | Ethiopians | Addis_Ababa Gondar
            Zimbabwe | Zimbabwean | Zimbabweans | Harare Bulawayo
            Uganda | Ugandan | Ugandans | Kampala Gulu
            Rwanda | Rwandan | Rwandans | Kigali Butare
            Congo | Congolese | Congolese | Kinshasa Goma Bukavu
            Ghana | Ghanaian | Ghanaians | Accra Kumasi
            Tanzania | Tanzanian | Tanzanians | Dodoma Arusha
            Eritrea | Eritrean | Eritreans | Asmara Massawa
            Liberia | Liberian | Liberians | Monrovia Buchanan
            Burundi | Burundian | Burundians | Bujumbura
            Zambia | Zambian | Zambians | Lusaka Livingstone
            Malawi | Malawian | Malawians | Blantyre Lilongwe
            Namibia | Namibian | Namibians | Windhoek
            Botswana | Botswanan | Botswanans | Gaborone
            Togo | Togolese | Togolese | Lomé
            Gabon | Gabonese | Gabonese | Libreville
            Madagascar | Malagasy | Malagasies | Antananarivo
        """),
        words("""
            Kwame Grace Chidi Amina Joseph Wanjiru Tendai Ngozi Samuel Abebe Blessing Emeka Fatou
            Moses Zanele Kofi Patience Goodluck Desmond Thandi
        """),
        words("Ok Mwa Nku Ade Bo Chi Mugi Ka Tse Ndi Mba Ola Wa Zu Sim Kim Ogu Lu"),
        words("afor ngi wande abe onkwo osi ala eri ama ezi bwe oro ewa ani"),
        words("umbi ala oro undu ewa engo ani osha mbo ira"),
    ),
}

# --- words that are names of more than one kind -----------------------------------------

# Surnames that are also places, months or everyday words.
SHARED_SURNAMES = words("""
    Jordan Washington May Lincoln Banks Ford Price Rivers Kent Young Fields Chelsea Rice Power
    Stone March Austin Green York Bell Hamilton Bush Hunter Law Houston Winter West Woods Wellington
    King Nelson Church Black Short White Brown Page Marsh Darwin Friday Berlin Bishop Jackson
    Best Hill Case Justice Cleveland Strange Waters Day Lancaster Bond Gold Warwick Sharp
    Cash Love North Court Miles Sheffield Speaker Snow Frost Storms Little Rush Chance Early
    Hamburg Essen Lima Medina Valencia Córdoba Toledo Trujillo Mendoza Santiago Buchanan
    Livingstone Galway Stirling Nice Orange Parma Modena Verona Messina
""")

# What may stand between a first name and a surname, and how often.
BETWEEN_NAMES = words("al- bin_ de_la_ von_ van_der_ J._ M._ R._ A._ K._ S._ F._")
LANGUAGES = words("""
    English French Spanish Arabic Russian Turkish Chinese German Persian Portuguese Hindi Kurdish
    Swahili Italian Polish Korean Greek Dutch Thai
""")
NUMERALS = words("I II III IV V")
NUMBER_WORDS = words("two three four five six seven eight nine ten twelve")
ORDINALS = words("first second third fourth fifth sixth")

# --- places -------------------------------------------------------------------------------

REGIONS = words("""
    Europe Gaza Texas Kashmir Africa California Chechnya Darfur Florida Asia Kosovo Louisiana Tibet
    Virginia Georgia Punjab Catalonia Ohio Quebec Aceh Bavaria Siberia Scandinavia Normandy Ontario
    Galilee Crimea Kurdistan Carolina Queensland Sinai Sicily Patagonia Lapland Zanzibar Galicia
    Lombardy Yunnan Hokkaido Chiapas Michigan Oregon Montana Dakota Arizona Alaska Nevada Wales
    Cornwall Tuscany Provence Saxony Silesia Transylvania Anatolia Sumatra Borneo Bengal Gujarat
    Latin_America Central_America Southeast_Asia North_Africa Central_Asia Cape_Horn
""")
THE_REGIONS = words("""
    Middle_East West_Bank Gaza_Strip Balkans Caucasus Caribbean Pacific Atlantic Persian_Gulf Sahara
    Horn_of_Africa Amazon Arctic Red_Sea Black_Sea Baltic_Sea Indian_Ocean Suez_Canal Great_Lakes
    English_Channel Gulf_of_Mexico Strait_of_Hormuz Bay_of_Bengal Sea_of_Japan Dead_Sea Rio_Grande
    Niger_Delta Swat_Valley
""")
COUNTRIES_WITH_ARTICLE = words("""
    U.S. United_States Netherlands Philippines Czech_Republic Maldives Ivory_Coast
""")
RIVERS = words(
    "Amazon Nile Danube Ganges Mekong Rhine Volga Niger Congo Jordan Seine Orinoco Indus"
)
PLACE_BEFORE = words("Lake Mount Port Cape Fort Saint New El Santa Upper")
PLACE_AFTER = words("Province City County Island Bay Heights Falls Beach Forest Harbor")
THE_PLACE_AFTER = words("Valley Islands Peninsula Mountains River Hills Coast Plateau Pass Delta")

# --- organisations ------------------------------------------------------------------------

BODIES = words("""
    NATO Congress Parliament OPEC Interpol UNICEF Greenpeace Amnesty_International FIFA UEFA NASA
    Human_Rights_Watch UNESCO Scotland_Yard
""")
THE_BODIES = words("""
    United_Nations European_Union EU White_House U.N. Senate Security_Council Pentagon World_Bank
    Supreme_Court African_Union State_Department CIA IMF WHO Red_Cross FBI Kremlin Arab_League
    European_Commission World_Trade_Organization International_Monetary_Fund House_of_Commons
    World_Health_Organization General_Assembly Vatican Treasury Federal_Reserve Justice_Department
    House_of_Representatives International_Criminal_Court Knesset Duma Bundestag National_Assembly
    Central_Bank Coast_Guard National_Guard Air_Force Navy Army World_Food_Program Border_Patrol
    Organization_of_American_States Election_Commission
""")
GROUPS = words("Taleban Hamas al-Qaida Hezbollah ETA FARC")
STATIONS = words("Reuters CNN BBC Xinhua al-Jazeera Interfax Itar-Tass")
COMPANIES = words("""
    Boeing Airbus Ford Amazon Microsoft Toyota Shell Google Siemens Nokia Orange Apple Oracle Delta
    Continental Volvo Target Philips Sony Honda Barclays Santander Visa Total Intel Samsung Nestlé
    Citroën L'Oréal Continental Unilever Gap Sprint Prudential Lincoln Chrysler Hyundai Peugeot
""")
COMPANY_STARTS = words("""
    Ren Pet Tel Syn Nov Glob Euro Trans Med Inter Omni Vect Aer Agr Hydr Lum Corv Max Quant Ver
    Axi Terr Astr Bio Cem Min Gaz Elec Chem Ark Sol Nord Pan Alt Uni
""")
COMPANY_ENDS = words("""
    ova osol ex ium aco is ix era ontec omin agen onics alia oneft ogaz icom ola avia ent etro ora
    ana icor astal ys
""")
COMPANY_FORMS = words(
    "Corporation Group Inc. Industries Holdings Ltd. International AG Partners S.A."
)
TRADES = words("""
    Airlines Steel Motors Oil Foods Pharmaceuticals Mining Telecom Electric Chemicals Shipping
    Insurance Railways Airways Breweries Cement Textiles Energy Paper Rubber Gas Power Post
""")
DOMAINS = words("""
    Defense Finance Health Trade Justice Agriculture Energy Education Labor Transport Industry
    Culture Tourism Fisheries Mining Housing Science Immigration Water Sport
""")
AGENCY_NOUNS = words(
    "Commission Agency Council Authority Institute Board Bureau Committee Center Office"
)
CAUSES = words("""
    Human_Rights Nuclear_Safety Wildlife Refugee Press_Freedom Disaster_Relief Election Census
    Food_Safety Space Drug_Control Climate Aviation Child_Welfare Anti-Corruption Land_Reform
""")
PARTY_ADJECTIVES = words("""
    Democratic Socialist National Liberal People_'s Conservative Green Labor Republican Islamic
    Progressive Christian Patriotic Popular United Workers_' Radical Peasant Constitutional Free
""")
PARTY_NOUNS = words("Party Front Movement Alliance Union Congress League Coalition Bloc Assembly")
PARTY_IDEAS = words(
    "Justice Unity Freedom Hope Progress Reform Renewal Dignity Order Change Future Dawn"
)
ARMED_NOUNS = words(
    "Brigades Army Front Martyrs Resistance Fighters Jihad Command Liberation_Front Tigers"
)
MEDIA_NOUNS = words(
    "Times Herald Post Tribune Gazette Observer Daily_News Chronicle Star Mirror Courier Sun"
)
CLUB_NOUNS = words(
    "United City Rangers Athletic Rovers Wanderers Lions Dynamos Warriors Eagles Giants"
)
SCHOOLS = words("University College Institute_of_Technology Medical_School Polytechnic")
CHARITY_NOUNS = words(
    "Foundation Trust Fund Institute Society Center Association Clinic Museum Library"
)

# --- works, events, nature ----------------------------------------------------------------

TITLE_ADJECTIVES = words("""
    Last Silent Broken Long Golden Distant Burning Hidden Little Frozen Crimson Empty Second Secret
    Blue Lonely Savage Quiet Stolen Wild Forgotten Painted Bitter Endless
""")
TITLE_NOUNS = words("""
    Winter River Garden Summer House Road War Moon King Bridge Harvest Letter Orchard Stone Mirror
    Dancer Shore Hunter Storm Wolf Sparrow Train Monday Justice Rain Island Clockmaker Queen
""")
CRAFT_NAMES = words("""
    Orion Pegasus Horizon Aurora Vega Zephyr Falcon Titan Sirius Voyager Condor Pathfinder Phoenix
    Kestrel Meridian Halcyon Tempest Albatross Osprey Nimbus Sentinel Trident Comet Aquila Lynx
    Borealis Mercury Juno Castor Pollux Javelin Typhoon
""")
AWARDS = words("Prize Medal Award Peace_Prize Book_Prize")
BUILDINGS = words("Tower Palace Stadium Cathedral Bridge Monument Mosque Hall Theater Castle")
TREATY_NOUNS = words("Treaty Accord Protocol Convention Declaration Pact Charter Constitution Act")

KNOWN_WARS = words("World_War_II World_War_I")
THE_WARS = words("""
    Cold_War Gulf_War Korean_War Vietnam_War Holocaust French_Revolution Crimean_War
    Great_Depression
""")
KNOWN_GAMES = words("""
    World_Cup Olympics Olympic_Games Winter_Olympics Champions_League Asian_Games Super_Bowl
    Commonwealth_Games
""")
HOLIDAYS = words(
    "Ramadan Christmas Easter Passover Diwali Thanksgiving Hanukkah Ashura Nowruz Pentecost"
)
FAIRS = words("Film_Festival Jazz_Festival Book_Fair Air_Show Carnival Biennale Opera_Festival")
OPERATION_WORDS = words("""
    Desert Iron Silent River Eagle Thunder Mountain Lightning Steel Swift Shield Sword Resolve Dawn
    Anvil Storm Hammer Arrow Guardian Phoenix Harvest Justice Viper Torch
""")
SPORT_EVENTS = words("""
    Open Grand_Prix Marathon Masters Cup Championships Classic Games Rally Derby
""")
REVOLUTIONS = words(
    "Orange Rose Velvet Green Tulip Saffron October July Carnation Cedar Cotton Purple"
)

ILLNESSES = words("""
    H5N1 Ebola HIV SARS AIDS Marburg H1N1 Lassa Zika MERS H7N9 Dengue Nipah Rotavirus
""")
STORM_NAMES = words("""
    Katrina Rita Wilma Dennis Emily Ivan Stan Dean Felix Gustav Ike Hanna Fay Omar Paloma Noel Olga
    Andrew Mitch Frances Jeanne Georges Hugo Camille Beta Alma Boris Lenny Iris Florence Sandy Grace
    Marco Nadia Parma Milan Victoria Rose Hope Ketsana Durian Nari Sidr Gonu Chanchu Bilis Mirinae
    Songda Nock Talim Rusa Imbudo Utor Prapiroon Xangsane Saomai Ewiniar Haitang Roke Ma-on
""")
STORM_KINDS = words("Hurricane Tropical_Storm Typhoon Cyclone")
ILLNESS_NOUNS = words("Fever Syndrome Virus Flu Disease")

# --- times --------------------------------------------------------------------------------

WEEKDAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = words("""
    January February March April May June July August September October November December
""")
DAY_PARTS = words("morning evening night afternoon")

# --- people -------------------------------------------------------------------------------

STATE_TITLES = words("""
    President Prime_Minister Foreign_Minister King Defense_Minister Chancellor Vice_President
    Queen Interior_Minister Finance_Minister Governor Prince Crown_Prince Premier
""")
OFFICE_TITLES = words("""
    General Senator Colonel Judge Secretary_General Archbishop Ambassador Mayor Major Cardinal
    Bishop Ayatollah Sheikh Captain Admiral Congressman Sergeant Inspector Reverend Justice Rabbi
""")
COURTESY_TITLES = words("Mr. Mr. Mrs. Ms. Dr. Sir Professor Lord")
PROFESSIONS = words("""
    lawyer analyst economist novelist farmer fisherman witness activist historian engineer
    biologist journalist singer goalkeeper striker sprinter cyclist pianist director banker pilot
    critic priest surgeon architect geologist astronomer negotiator lawmaker envoy commander
    midfielder trader teacher shopkeeper nurse prosecutor
""")
